"""Every setting, frozen, and the only reader of the environment.

Strength: a value given in code, then ``agentlog.yaml``, then the environment, then the default. Where OpenTelemetry has a
standard variable we read that one, after a variable of our own; variables that only its SDK uses (limits, samplers) are read by
it. A value that cannot be used raises `ConfigurationError` with the setting's name and the value; but in a variable that other
software reads too, it is left out and reported (`Settings.complaints`).
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import otel_agentlog._platform as system
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.settings import parsers as values
from otel_agentlog.settings import standard
from otel_agentlog.settings.parsers import Connection, connection
from otel_agentlog.settings.parsers import setting as _setting
from otel_agentlog.vocabulary.states import ENDED, UNSUCCESSFUL

MAX_CONFIG_BYTES = 64 * 1024
SIGNALS = ("traces", "logs", "metrics")

_NOT_FAILED = ENDED - UNSUCCESSFUL
_PROTOCOL = values.one_of("http/protobuf", "grpc")
_EXPORTER = values.one_of("otlp", "console", "none")
_DAY_S = 86400.0
_WAIT = values.duration(0, at_most=standard.LONGEST_WAIT_S)
_SERVICE = ("AGENTLOG_SERVICE_NAME", "OTEL_SERVICE_NAME")


def _default_service() -> str:
    return _script() or "agent"


def _script() -> str | None:
    """The name of the running script; ``None`` where Python runs none, or is embedded in something else."""
    words = getattr(sys, "argv", None)
    first = words[0] if isinstance(words, list) and words else None
    name = os.path.basename(first).removesuffix(".py") if isinstance(first, str) else ""
    return values.encodable(name) if name.strip() and name not in ("-c", "-m", "__main__") else None


def home() -> Path:
    """The user's home; where there is none (no ``HOME``, no entry for the user), or nothing can be made in it (a container that
    runs as another user: ``HOME=/``), a folder in the temporary one."""
    found = os.path.expanduser("~")
    if os.path.isabs(found) and _may_be_written(Path(found, ".local", "state", "agentlog")):
        return Path(found)
    own = Path(tempfile.gettempdir(), f"agentlog-{system.user_id()}")
    try:
        # Anybody may make a folder of this name there; nothing is written into that of another user.
        is_ours = own.lstat().st_uid == system.user_id() and not own.is_symlink()
    except OSError:
        is_ours = True
    return own if is_ours else own.with_name(f"{own.name}-{os.getpid()}")


def _may_be_written(folder: Path) -> bool:
    """Whether the folder is there, or can be made."""
    try:
        if folder.exists():
            return True  # what is in it can be read, at least
        there = next(each for each in folder.parents if each.exists())
        return os.access(there, os.W_OK | os.X_OK)
    except OSError:
        return False


def _default_directory() -> Path:
    state = os.environ.get("XDG_STATE_HOME")
    base = Path(state) if state and os.path.isabs(state) else home() / ".local" / "state"
    return base / "agentlog" / "tasks"


def cache_home() -> Path:
    """Where what can be made anew is kept: ``XDG_CACHE_HOME``, else ``~/.cache``."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return Path(cache) if cache and os.path.isabs(cache) else home() / ".cache"


def _shown(name: str, value: object) -> str:
    if name == "redaction_allow":
        return f"<{len(value)} values>" if isinstance(value, Sequence) else "<values>"
    if isinstance(value, str) and "://" in value:
        parts = urlsplit(value)
        host = parts.netloc.rpartition("@")[2]
        return repr(urlunsplit((parts.scheme, f"***@{host}" if "@" in parts.netloc else host, parts.path, "", "")))
    return repr(value)


@dataclass(frozen=True)
class Terminal:
    """The environment variables about the terminal: ``NO_COLOR``, ``FORCE_COLOR``, ``TERM``."""

    no_color: str | None = None
    force_color: str | None = None
    term: str | None = None


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What was given to `configure`. Every field can be given in code, in ``agentlog.yaml`` and by environment."""

    def __repr__(self) -> str:
        """For people and notebooks: without credentials of URLs and without the values that are never redacted."""
        shown = (f"{each.name}={_shown(each.name, getattr(self, each.name))}" for each in fields(self))
        return f"{type(self).__name__}({', '.join(shown)})"

    service_name: str = _setting(_default_service, *_SERVICE, read=values.text)
    """``service.name`` of everything sent; default: that of ``OTEL_RESOURCE_ATTRIBUTES``, else the name of the running script."""
    enabled: bool = _setting(True, "TASK_LOGS_ENABLED", read=values.flag)
    """Whether anything is recorded; if not, no folder is made, nothing is sent, and a recording call costs next to nothing."""
    directory: Path = _setting(_default_directory, "TASK_LOGS_DIR", "METACLAUDE_LOG_DIR", read=values.root_path)
    """The folder that holds the task folders. Where it is a symbolic link: what that leads to when it is read."""
    retention_days: float | None = _setting(None, "TASK_LOGS_RETENTION_DAYS", read=values.duration(0.01, _DAY_S))
    """Days after its end at which a task is deleted; default: never."""
    execution_retention_days: float | None = _setting(
        None, "AGENTLOG_EXECUTION_RETENTION_DAYS", read=values.duration(0.01, _DAY_S)
    )
    """The same for tasks that are there for one execution of a script only; default: as for all tasks."""
    max_tasks: int | None = _setting(None, "TASK_LOGS_MAX_TASKS", read=values.number(1, whole=True))
    """Most task folders to keep; the oldest finished ones go. Default: no limit."""
    max_bytes: int | None = _setting(None, "TASK_LOGS_MAX_BYTES", read=values.size)
    """Most bytes of all task folders together, e.g. ``500MB`` or ``2GiB``; the oldest finished ones go. Default: no limit."""
    compress_after_days: float | None = _setting(None, "TASK_LOGS_COMPRESS_AFTER_DAYS", read=values.duration(0, _DAY_S))
    """Days after its end at which a task's files are compressed, 0: with the next upkeep; default: never."""
    durability: str = _setting("process", "AGENTLOG_DURABILITY", read=values.one_of("process", "group", "sync"))
    """What a recorded line survives: the end of the ``process``; a power cut 50 ms later (``group``) or at once (``sync``)."""
    recover_on_start: bool = _setting(True, "AGENTLOG_RECOVER_ON_START", read=values.flag)
    """Whether `configure` closes, in the background, what processes left open that died."""
    handle_signals: bool = _setting(True, "AGENTLOG_HANDLE_SIGNALS", read=values.flag)
    """Whether SIGTERM and SIGHUP are noted in open tasks before they do what they do anyway."""
    log_directory: Path | None = _setting(None, "AGENTLOG_LOG_DIR", read=values.path)
    """Where the application log goes; default ``/var/log/<service>`` if writable, else ``~/.local/state/agentlog/logs``."""
    log_file: Path | None = _setting(None, "AGENTLOG_LOG_FILE", read=values.file_path)
    """The application log by name, instead of ``<service>.jsonl`` in ``log_directory``; rotated ones are ``<name>.<day>.<n>``."""
    log_format: str = _setting("lines", "AGENTLOG_LOG_FORMAT", read=values.one_of("lines", "flat", "text"))
    """``lines``: those of no task, as in task folders; ``flat`` (JSON), ``text``: all log lines and events (`file_formats`)."""
    log_max_bytes: int = _setting(50 * 1024 * 1024, "AGENTLOG_LOG_MAX_BYTES", read=values.size_from(4096))
    """Size at which the application log is rotated, e.g. ``100MB`` or ``64MiB``."""
    log_backups: int | None = _setting(None, "AGENTLOG_LOG_BACKUPS", read=values.number(1, whole=True))
    """Most rotated application logs; if given, a new day rotates nothing, and nothing is deleted for its age by default."""
    log_total_bytes: int | None = _setting(None, "AGENTLOG_LOG_TOTAL_BYTES", read=values.size_from(8192))
    """Most bytes of the application log and its rotated ones; the oldest go. It is rotated at half of it at the latest."""
    log_keep_days: int | None = _setting(None, "AGENTLOG_LOG_KEEP_DAYS", read=values.whole(values.duration(1, _DAY_S)))
    """Days after which a rotated application log is deleted; default: 14, with ``log_backups`` never."""
    log_compress: bool = _setting(True, "AGENTLOG_LOG_COMPRESS", read=values.flag)
    """Whether rotated application logs are compressed."""
    log_level: str = _setting(
        "INFO", "AGENTLOG_LOG_LEVEL", "LOG_LEVEL", read=values.level, shared=standard.log_level(values.level)
    )
    """Lowest level of log lines that are recorded."""
    levels: Mapping[str, str] = _setting(dict, "AGENTLOG_LEVELS", read=values.levels)
    """Levels of single components, e.g. ``ai_service=DEBUG,web=WARNING``."""
    console: str = _setting("auto", "AGENTLOG_CONSOLE", read=values.one_of("auto", "human", "json", "flat", "text", "off"))
    """What the console shows of log lines; ``auto``: human on a terminal, JSON elsewhere; ``flat``, ``text``: as `log_format`."""
    console_stream: str = _setting("stderr", "AGENTLOG_CONSOLE_STREAM", read=values.one_of("stderr", "stdout"))
    """Where the console writes to."""
    capture_logging: bool = _setting(True, "AGENTLOG_CAPTURE_LOGGING", read=values.flag)
    """Whether records of stdlib ``logging`` are recorded too, whatever level and handlers the root logger has."""
    propagate_threads: bool = _setting(True, "AGENTLOG_PROPAGATE_THREADS", read=values.flag)
    """Whether new threads and thread pools continue the context they were started in."""
    resource_interval_s: float = _setting(0.2, "AGENTLOG_RESOURCE_INTERVAL", read=_WAIT)
    """Seconds between two samples of CPU time and memory while tasks and tool runs are open; 0: nothing is measured."""
    redaction_keys: Sequence[str] = _setting((), "AGENTLOG_REDACTION_KEYS", read=values.texts)
    """Further keys whose values are secret."""
    redaction_patterns: Sequence[str] = _setting((), read=values.texts)
    """Further patterns (RE2 syntax) of secret values."""
    redaction_allow: Sequence[str] = _setting((), read=values.texts)
    """Values that are never redacted."""
    redaction_unmask: Sequence[str] = _setting((), "AGENTLOG_REDACTION_UNMASK", read=values.texts)
    """Names of redaction rules that are switched off; that they are is logged."""
    redaction_pii: Sequence[str] = _setting((), "AGENTLOG_REDACTION_PII", read=values.texts)
    """Kinds of personal data that are redacted too: ``email`` ``phone`` ``iban`` ``ip``, or ``all``; default: none."""
    privacy: bool = _setting(False, "AGENTLOG_PRIVACY", read=values.flag)
    """Whether content of messages and personal data are left out everywhere: lines, whole files, OTLP, console."""
    statsd_host: str | None = _setting(None, "AGENTLOG_STATSD_HOST", "METACLAUDE_METRICS_HOST", read=values.text)
    """Host that StatsD is sent to: metrics where ``metrics_exporter`` is ``statsd`` (default: this host), and those of a
    `compat.tool_execution.MetricsCollector` (default: none)."""
    statsd_port: int = _setting(8125, "AGENTLOG_STATSD_PORT", "METACLAUDE_METRICS_PORT", read=values.port)
    """Port of StatsD, by UDP."""
    statsd_prefix: str | None = _setting(None, "AGENTLOG_STATSD_PREFIX", read=values.text)
    """What names of metrics begin with there, before a dot; default: nothing, and ``metaclaude`` for a `MetricsCollector`."""
    prices: Mapping[str, Any] = _setting(dict, read=values.mapping)
    """Prices of your own: model → ``{"input_per_mtok": …, "output_per_mtok": …}`` in US dollars."""
    alerts: Mapping[str, Any] = _setting(dict, "AGENTLOG_ALERTS", read=values.thresholds)
    """What is too much: rule → threshold, ``false``, or a mapping (``docs/alerts.md``). If given, it is watched for here."""
    processors: Sequence[Callable[..., Any]] = _setting((), read=values.callables)
    """Functions line → line, run after redaction (code only)."""

    # What is sent to a collector: content, endpoints, queues, and which tasks are sent although the sampler left them out.
    content: str | None = _setting(None, "AGENTLOG_CONTENT", read=values.one_of("off", "preview", "full"))
    """How much of prompts, answers, arguments and results goes to OTLP; the folder always has all of it."""
    genai_content: str = _setting(
        "NO_CONTENT",
        "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
        read=values.one_of("NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT"),
        shared=standard.genai_content,
    )
    """The convention's own switch: where content goes. It alone means ``content="full"``."""
    profile: str = _setting("latest", "AGENTLOG_SEMCONV_PROFILE", read=values.one_of("latest", "2026-10", "legacy", "both"))
    """Which names of the GenAI conventions are used."""
    span_events: str = _setting("errors", "AGENTLOG_SPAN_EVENTS", read=values.one_of("errors", "all", "none"))
    """What is an event of its span, too: exceptions and failed attempts, ``all`` that is logged in it, or ``none``."""
    endpoint: str | None = _setting(None, "OTEL_EXPORTER_OTLP_ENDPOINT", read=values.endpoint, shared=standard.endpoint)
    """The collector's base URL. Without it, without an endpoint per signal and without ``otlp`` in ``OTEL_*_EXPORTER``
    nothing is sent."""
    traces_endpoint: str | None = _setting(
        None, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", read=values.endpoint, shared=standard.endpoint
    )
    logs_endpoint: str | None = _setting(None, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", read=values.endpoint, shared=standard.endpoint)
    metrics_endpoint: str | None = _setting(
        None, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", read=values.endpoint, shared=standard.endpoint
    )
    protocol: str = _setting("http/protobuf", "OTEL_EXPORTER_OTLP_PROTOCOL", read=_PROTOCOL, shared=standard.protocol)
    """``http/protobuf`` or ``grpc``."""
    traces_protocol: str | None = _setting(None, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", read=_PROTOCOL, shared=standard.protocol)
    logs_protocol: str | None = _setting(None, "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", read=_PROTOCOL, shared=standard.protocol)
    metrics_protocol: str | None = _setting(None, "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", read=_PROTOCOL, shared=standard.protocol)
    traces_exporter: str | None = _setting(None, "OTEL_TRACES_EXPORTER", read=_EXPORTER, shared=standard.exporter)
    """``otlp``, ``console`` or ``none``; default ``otlp`` if there is an endpoint."""
    logs_exporter: str | None = _setting(None, "OTEL_LOGS_EXPORTER", read=_EXPORTER, shared=standard.exporter)
    metrics_exporter: str | None = _setting(
        None, "OTEL_METRICS_EXPORTER", read=values.one_of("otlp", "console", "statsd", "none"), shared=standard.metrics_exporter
    )
    """The same, or ``statsd``: to `statsd_host`."""
    instrument: Sequence[str] = _setting((), "AGENTLOG_INSTRUMENT", read=values.texts)
    """Libraries whose instrumentors `configure` switches on, as `instrument(only=…)` does, or ``all``; default: none."""
    implicit_tasks: bool = _setting(False, "AGENTLOG_IMPLICIT_TASKS", read=values.flag)
    """Whether a span of another library outside every task gets a task of its own, with a folder, until it ends. On in programs
    that ``agentlog run``, ``opentelemetry-instrument`` or an exporter named ``agentlog`` configures."""
    queue_size: int = _setting(20_000, "OTEL_BSP_MAX_QUEUE_SIZE", read=values.number(1, whole=True))
    """Items that wait in memory for the collector; past it they stay in the folder and are sent later."""
    batch_size: int = _setting(512, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", read=values.number(1, whole=True))
    """Items of one request."""
    send_delay_s: float = _setting(1.0, "AGENTLOG_SEND_DELAY", read=_WAIT)
    """Longest time, in seconds, that an item waits for company; ``OTEL_BSP_SCHEDULE_DELAY`` (milliseconds) sets it too."""
    shutdown_timeout_s: float = _setting(5.0, "AGENTLOG_SHUTDOWN_TIMEOUT", read=_WAIT)
    """Longest time, in seconds, that the end of the process waits for all signals together."""
    catch_up_days: float = _setting(7.0, "AGENTLOG_CATCH_UP_DAYS", read=values.duration(0, _DAY_S))
    """How old, in days, tasks of other processes may be that are sent in the background because they still wait; 0: none."""
    keep_failed: bool = _setting(True, "AGENTLOG_KEEP_FAILED", read=values.flag)
    """Whether a task that the sampler left out is sent after all if it did not complete."""
    keep_slow_s: float | None = _setting(None, "AGENTLOG_KEEP_SLOW", read=values.duration(0))
    """Duration in seconds from which on it is sent after all."""
    keep_cost_usd: float | None = _setting(None, "AGENTLOG_KEEP_COST", read=values.number(0))
    """Known cost in US dollars from which on it is sent after all."""
    trace_url: str | None = _setting(None, "AGENTLOG_TRACE_URL", read=values.trace_url)
    """URL of a trace in its web page, with ``{trace_id}`` in it, e.g. ``http://localhost:16686/trace/{trace_id}``; the web page
    links there."""

    sent_by_sdk: frozenset[str] = frozenset()
    """Signals whose exporter is named ``agentlog`` for the SDK's own set-up, which sends by the others that are named there."""
    endpoint_given: bool = False
    """Whether the endpoint was given in code or file, not by the environment: then a joined provider gets our delivery too."""

    complaints: tuple[str, ...] = ()
    """What is wrong with variables that other software reads too, and what was done instead; `configure` warns of each once."""

    terminal: Terminal = Terminal()
    """Colours of the console; from the environment alone."""
    connections: Mapping[str, Connection] = field(default_factory=dict)
    """By signal, from the standard ``OTEL_EXPORTER_OTLP_…`` variables; from the environment alone."""

    def connection_of(self, signal: str) -> Connection:
        """The standard variables about the connection of ``traces``, ``logs`` or ``metrics``."""
        return self.connections.get(signal) or Connection()

    @property
    def log_directory_wanted(self) -> Path | None:
        """The folder that is to have the application log; ``None``: no particular one."""
        return self.log_directory if self.log_file is None else self.log_file.parent

    @property
    def log_days(self) -> int | None:
        """Days after which a rotated application log is deleted; ``None``: never for its age."""
        return self.log_keep_days or (None if self.log_backups else 14)

    @property
    def content_policy(self) -> str:
        """``off``, ``preview`` or ``full``."""
        return self.content or ("off" if self.genai_content == "NO_CONTENT" else "full")

    @property
    def content_on(self) -> frozenset[str]:
        """Where content goes: ``span``, ``event``."""
        places = {"SPAN_ONLY": ("span",), "EVENT_ONLY": ("event",), "SPAN_AND_EVENT": ("span", "event")}
        return frozenset(places.get(self.genai_content, ("span",)))

    def reason_to_keep(self, outcome: str | None, seconds: float | None, cost_usd: float | None) -> str | None:
        """Why a task that ended like this is sent although the sampler left it out; ``None`` if it is not."""
        if self.keep_failed and outcome not in _NOT_FAILED:
            return "failed"
        if self.keep_slow_s is not None and seconds is not None and seconds >= self.keep_slow_s:
            return "slow"
        if self.keep_cost_usd is not None and cost_usd is not None and cost_usd >= self.keep_cost_usd:
            return "cost"
        return None

    def exporter(self, signal: str) -> str:
        """``otlp``, ``console`` or ``none`` for ``traces``, ``logs`` or ``metrics``; of the last also ``statsd``."""
        chosen: str | None = getattr(self, f"{signal}_exporter")
        if chosen is not None:
            return chosen
        return "otlp" if self.endpoint or getattr(self, f"{signal}_endpoint") else "none"

    def protocol_of(self, signal: str) -> str:
        """``http/protobuf`` or ``grpc``."""
        chosen: str | None = getattr(self, f"{signal}_protocol")
        return chosen or self.protocol


def load(
    given: Mapping[str, Any], file: Mapping[str, Any] | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Settings from code, a file and the environment.

    Raises:
        ConfigurationError: a value that cannot be used, or a name that is no setting.
    """
    env = os.environ if environment is None else environment
    known = {item.name: item for item in fields(Settings) if item.metadata}
    for source, where in ((given, "configure()"), (file or {}, "agentlog.yaml")):
        for name in source:
            if name not in known:
                raise ConfigurationError(
                    str(name), source[name], f"a setting that exists ({where} knows: {', '.join(sorted(known))})"
                )
    found = _Values(given, file or {}, env)
    for name, item in known.items():
        found.read(name, item.metadata)
    if "send_delay_s" not in found.checked and (delay := env.get("OTEL_BSP_SCHEDULE_DELAY")):
        found.take("send_delay_s", "OTEL_BSP_SCHEDULE_DELAY", delay, standard.lenient(_milliseconds))
    if "service_name" not in found.checked and (service := standard.service_in_resource(env)):
        found.checked["service_name"] = values.encodable(service)
    found.complaints += filter(None, standard.refused(env).values())
    endpoint_given = bool(given.get("endpoint") or (file or {}).get("endpoint"))
    terminal = Terminal(env.get("NO_COLOR"), env.get("FORCE_COLOR"), env.get("TERM"))
    connections = {signal: connection(signal, env) for signal in SIGNALS}
    return Settings(
        **found.checked,
        endpoint_given=endpoint_given,
        sent_by_sdk=frozenset(signal for signal in SIGNALS if standard.names_ours(env, signal)),
        complaints=tuple(found.complaints),
        terminal=terminal,
        connections=connections,
    )


def _milliseconds(name: str, value: Any) -> float:
    found: float = values.number(0, at_most=standard.LONGEST_WAIT_S * 1000)(name, value)
    return found / 1000


class _Values:
    """What is found for each setting in code, file and environment, checked."""

    def __init__(self, given: Mapping[str, Any], file: Mapping[str, Any], env: Mapping[str, str]) -> None:
        self._sources, self._env = (given, file), env
        self.checked: dict[str, Any] = {}
        self.complaints: list[str] = []

    def read(self, name: str, how: Mapping[str, Any]) -> None:
        """Find and check one setting."""
        for source in self._sources:
            if source.get(name) is not None:
                self.checked[name] = _read(how["read"], name, source[name])
                return
        for variable in how["variables"]:
            text = self._env.get(variable)
            if text and standard.is_shared(variable):
                self.take(name, variable, text, how["shared"])
            elif text:
                self.checked[name] = how["read"](variable, text)
            if name in self.checked:
                return

    def take(self, name: str, variable: str, text: str, read: standard.Reader) -> None:
        """Take what can be used of a variable that other software reads too."""
        if not text.strip():
            return
        found, complaint = read(variable, text, self._env)
        if found is not None:
            self.checked[name] = found
        if complaint is not None:
            self.complaints.append(complaint)


def _read(read: Callable[[str, Any], Any], name: str, value: Any) -> Any:
    try:
        return read(name, value)
    except ConfigurationError:
        raise
    except Exception as error:  # broad, as the value is any object, which says what it is by code of its own
        raise ConfigurationError(name, value, f"a value that can be read, not one that raises {type(error).__name__}") from error


def inherited(names: Iterable[str] | None = None) -> dict[str, str]:
    """What a child process gets of this process's environment: these variables, or all of them."""
    return dict(os.environ) if names is None else {name: os.environ[name] for name in names if name in os.environ}


def read_config_file(environment: Mapping[str, str] | None = None) -> Mapping[str, Any]:
    """What ``agentlog.yaml`` in the working directory says, or the file that ``AGENTLOG_CONFIG`` names; empty without one.

    Raises:
        ConfigurationError: the named file is not there, the file is no YAML mapping, or PyYAML is not installed.
    """
    env = os.environ if environment is None else environment
    named = env.get("AGENTLOG_CONFIG")
    path = Path(named or "agentlog.yaml")
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CONFIG_BYTES + 1)
    except OSError as error:
        # A working directory that is gone, or that this user may not look into, has no file for us.
        if not named and not os.path.lexists(path):
            return {}
        if not isinstance(error, FileNotFoundError):
            expected = f"a file that can be read ({error.strerror})"
            raise ConfigurationError("AGENTLOG_CONFIG", str(path), expected) from None
        if named:
            raise ConfigurationError("AGENTLOG_CONFIG", named, "a file that exists") from None
        return {}
    return _parse_yaml(path, text)


def read_yaml(path: Path, name: str) -> Mapping[str, Any]:
    """What a YAML file says; empty if it says nothing. ``name`` is what named the file.

    Raises:
        ConfigurationError: it cannot be read, is no YAML mapping, or PyYAML is not installed.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CONFIG_BYTES + 1)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(name, str(path), f"a file that can be read ({error})") from None
    return _parse_yaml(path, text)


def _parse_yaml(path: Path, text: bytes) -> Mapping[str, Any]:
    try:
        import yaml
    except ImportError:
        raise ConfigurationError(str(path), "a YAML file", "the package PyYAML: pip install 'otel_agentlog[yaml]'") from None
    # An anchor can make a small file into a gigabyte; settings need none.
    if len(text) > MAX_CONFIG_BYTES or b"&" in text or b"*" in text:
        raise ConfigurationError(
            str(path), f"{len(text)} bytes", f"at most {MAX_CONFIG_BYTES} bytes of YAML without anchors and aliases"
        )
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(path), "not YAML", f"a YAML mapping ({str(error).splitlines()[0]})") from None
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigurationError(str(path), type(found).__name__, "a YAML mapping of settings")
    return found
