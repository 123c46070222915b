"""``agentlog doctor``: check the installation, the settings and the folders, and send a test trace.

Each check is a function that yields its findings; one that raises is a finding of its own.
"""

from __future__ import annotations

import argparse
import errno
import os
import secrets
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import otel_agentlog._platform as system
from otel_agentlog._startup import dataclass
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.query import Filter, folders, is_left_open, search
from otel_agentlog.settings.fields import SIGNALS, Settings, home, load, read_config_file
from otel_agentlog.settings.version import __version__
from otel_agentlog.store.app_log import choose_directory
from otel_agentlog.store.delivery.pending import pending_tasks
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.cli.context import CliContext, collector_url, print_json
from otel_agentlog.view.render import formats
from otel_agentlog.view.render.screen import Piece, Progress, Screen
from otel_agentlog.vocabulary.coerce import texts
from otel_agentlog.vocabulary.terminal_text import safe

OK, WARN, BAD = "ok", "warn", "bad"

LITTLE_BYTES = 1024**3
LITTLE_PERCENT = 5
"""Below this much free space, or this share of the disk, the disk counts as nearly full."""

SKEW_S = 5.0
"""Most seconds that the clocks of host and disk may differ."""

EXTRAS = {
    "prices": "genai-prices",
    "run": "psutil",
    "cli": "rich",
    "server": "fastapi",
    "monitor": "textual",
    "notify": "apprise",
    "yaml": "pyyaml",
    "dotenv": "python-dotenv",
    "statsd": "datadog",
    "parquet": "pyarrow",
    "compare": "scipy",
    "mcp": "mcp",
}
_OTEL = ("opentelemetry-api", "opentelemetry-sdk", "opentelemetry-exporter-otlp")


@dataclass(frozen=True)
class Finding:
    """One result of a check."""

    what: str
    verdict: str
    """``ok``, ``warn`` or ``bad``."""
    words: str
    hint: str = ""
    """How to fix it; empty where there is nothing to fix."""

    def as_json(self) -> dict[str, Any]:
        """As an element of ``--json``."""
        return asdict(self)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("--no-send", action="store_true", help="send no test trace")
    parser.add_argument("--endpoint", metavar="URL", help="try this collector instead of the one in the settings")
    parser.add_argument("--protocol", choices=("http/protobuf", "grpc"), help="how to speak to it (default: as the SDK)")
    parser.add_argument("--jaeger", metavar="URL", help="look for the test trace there too, e.g. http://localhost:16686")


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Make all checks; 1 if a finding is bad."""
    options_given = {key: value for key in ("endpoint", "protocol") if (value := getattr(options, key)) is not None}
    settings = load({**options_given, "directory": context.wanted_root}, read_config_file())
    if options.jaeger and urlsplit(options.jaeger).scheme not in ("http", "https"):
        raise ConfigurationError("--jaeger", options.jaeger, "a URL like http://localhost:16686")
    screen = context.screen()
    findings: list[Finding] = []
    with Progress() as progress:
        for finding in examine(settings, send=not options.no_send, jaeger=options.jaeger):
            findings.append(finding)
            if not options.json:
                _print(screen, finding)
            progress.show("sending a test trace")
    bad = sum(finding.verdict == BAD for finding in findings)
    if options.json:
        print_json({"ok": not bad, "findings": [finding.as_json() for finding in findings]})
    else:
        warned = sum(finding.verdict == WARN for finding in findings)
        screen.line(f"{_count(bad, 'problem')}, {_count(warned, 'warning')}.")
    return int(bad > 0)


def _count(number: int, noun: str) -> str:
    return formats.count(number, noun) if number else f"no {noun}s"


def _print(screen: Screen, finding: Finding) -> None:
    glyphs = screen.glyphs
    sign, style = {OK: (glyphs.ok, "ok"), WARN: (glyphs.warn, "warn"), BAD: (glyphs.bad, "bad")}[finding.verdict]
    screen.line(Piece(f"{sign} ", style), Piece(f"{finding.what:<14}", "title"), Piece(safe(finding.words)))
    if finding.hint:
        screen.line(Piece(f"{'':<16}{glyphs.arrow} {safe(finding.hint)}", "dim"))


def examine(settings: Settings, *, send: bool = True, jaeger: str | None = None) -> Iterator[Finding]:
    """Yield the findings, quick checks first; `send` sends a test trace, `jaeger` is the URL of a Jaeger to look for it."""
    checks: list[Callable[[Settings], Iterator[Finding]]] = [
        _versions,
        _extras,
        _instrumentors,
        _root,
        _disk,
        _clock,
        _log_directory,
    ]
    checks += [_tasks, _providers]
    for check in checks:
        yield from _findings(check, settings)
    yield from _findings(lambda each: _sending(each, send, jaeger), settings, "collector")


def _findings(check: Callable[[Settings], Iterator[Finding]], settings: Settings, subject: str = "") -> Iterator[Finding]:
    try:
        yield from check(settings)
    except Exception as error:  # noqa: BLE001 - a check that fails is a finding, and the others still have to be made
        yield Finding(subject or check.__name__.strip("_"), BAD, f"{type(error).__name__}: {error}")


def _versions(settings: Settings) -> Iterator[Finding]:
    yield Finding("python", OK, f"{sys.version.split()[0]}, otel_agentlog {__version__}")
    found = {name: _version(name) for name in _OTEL}
    words = ", ".join(f"{name.removeprefix('opentelemetry-')} {version or 'missing'}" for name, version in found.items())
    same = len(set(found.values())) == 1 and None not in found.values()
    hint = "" if same else "install one version of all: pip install -U opentelemetry-sdk opentelemetry-exporter-otlp"
    yield Finding("opentelemetry", OK if same else WARN, words, hint)


def _extras(settings: Settings) -> Iterator[Finding]:
    there = [extra for extra, package in EXTRAS.items() if _version(package)]
    missing = [extra for extra in EXTRAS if extra not in there]
    words = (", ".join(there) or "none") + (f" (not installed: {', '.join(missing)})" if missing else "")
    yield Finding("extras", OK, words)


def _instrumentors(settings: Settings) -> Iterator[Finding]:
    """Which AI libraries can be watched, and which would be by two."""
    from otel_agentlog.wiring.instrument import installed

    found = installed()
    words = ", ".join(f"{library} ({candidates[0].by})" for library, candidates in found.items())
    yield Finding("AI libraries", OK, words or "no instrumentor is installed, and none that traces itself")
    for library, candidates in found.items():
        if len(candidates) > 1:
            names = " and ".join(each.by for each in candidates)
            hint = "switch them on by agentlog.instrument(), which takes one, or uninstall the others"
            words = f"{library}: {names} are installed; a request is counted once, but may be sent as several spans"
            yield Finding("instrumentors", WARN, words, hint)


def _providers(settings: Settings) -> Iterator[Finding]:
    """Whether the exporters of another library sent what was recorded last."""
    if not _sends(settings) or not settings.directory.is_dir():
        return
    for folder in folders(settings.directory, limit=1):
        task = TaskReader(folder)
        first = next(iter(task.events()), {})
        if elsewhere := texts(first, "elsewhere"):
            words = f"{' and '.join(elsewhere)} of {task.task_id} were left to exporters that another library had set up"
            yield Finding("providers", OK, words, "they are not counted here; call configure() first to send them from here")


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _root(settings: Settings) -> Iterator[Finding]:
    root = settings.directory
    there = _nearest(root)
    if not root.is_dir():
        if root.exists():
            yield Finding("folder", BAD, f"{root} is not a folder", "set TASK_LOGS_DIR to a folder")
        elif not os.access(there, os.W_OK | os.X_OK):
            yield Finding("folder", BAD, f"{root} cannot be made in {there}", "set TASK_LOGS_DIR to a folder that can be written")
        else:
            yield Finding("folder", OK, f"{root} will be made when the first task is recorded")
        return
    state = root.stat()
    if state.st_uid != (user := system.user_id()):
        words = f"{root} belongs to uid {state.st_uid}, not to {user}"
        yield Finding("folder", WARN, words, "give each user a root of their own")
    elif system.HAS_OWNERS and state.st_mode & 0o022:
        yield Finding(
            "folder",
            WARN,
            f"{root} can be written by others (mode {state.st_mode & 0o777:o})",
            f"chmod 700 {shlex.quote(str(root))}",
        )
    yield _writable(root)


def _writable(root: Path) -> Finding:
    path, opened = root / f".doctor-{secrets.token_hex(8)}", list[int]()
    try:
        try:
            opened += [system.open(path, flags, 0o600) for flags in (system.UPDATE | os.O_CREAT | os.O_EXCL, system.UPDATE)]
            system.lock(opened[0], system.EXCLUSIVE)
            try:
                system.lock(opened[1], system.EXCLUSIVE)
            except BlockingIOError:
                return Finding("folder", OK, f"{root} can be written and locked")
            hint = "use a local disk; without locks it cannot be known whether a task still runs"
            return Finding("folder", BAD, f"{root} is on a file system whose locks do nothing", hint)
        finally:
            for fd in opened:
                system.close(fd)
            path.unlink(missing_ok=True)
    except OSError as error:
        hint = {errno.ENOSPC: "make room: agentlog prune", errno.EROFS: "the disk is read-only"}.get(error.errno or 0, "")
        return Finding("folder", BAD, f"{root} cannot be written: {error.strerror}", hint or "see its owner and mode")


def _disk(settings: Settings) -> Iterator[Finding]:
    usage = shutil.disk_usage(_nearest(settings.directory))
    percent = 100 * usage.free / max(1, usage.total)
    words = f"{formats.size(usage.free)} free of {formats.size(usage.total)} ({percent:.0f} %)"
    little = usage.free < LITTLE_BYTES or percent < LITTLE_PERCENT
    yield Finding("disk", WARN if little else OK, words, "agentlog prune --dry-run says what could go" if little else "")


def _clock(settings: Settings) -> Iterator[Finding]:
    there = _nearest(settings.directory)
    if not os.access(there, os.W_OK):
        return
    with tempfile.NamedTemporaryFile(dir=there, prefix=".doctor-") as file:
        skew_s = abs(os.fstat(file.fileno()).st_mtime - time.time())
    words = f"{time.strftime('%Y-%m-%d %H:%M:%S %z')}, within {max(skew_s, 0.1):.1f} s of the disk's"
    yield Finding("clock", OK if skew_s <= SKEW_S else WARN, words, "" if skew_s <= SKEW_S else "synchronise the clocks (NTP)")


def _log_directory(settings: Settings) -> Iterator[Finding]:
    directory = choose_directory(settings.service_name, settings.log_directory_wanted, home())
    there = _nearest(directory)
    writable = os.access(there, os.W_OK | os.X_OK)
    hint = "" if writable else "set AGENTLOG_LOG_DIR to a folder that can be written"
    yield Finding("log", OK if writable else BAD, f"{directory} {'can' if writable else 'cannot'} be written", hint)


def _tasks(settings: Settings) -> Iterator[Finding]:
    root = settings.directory
    if not root.is_dir():
        return
    left_open = [each for each in folders(root, Filter(statuses=("interrupted",))) if is_left_open(TaskReader(each))]
    tasks = search(root, limit=0).tasks
    words = formats.count(tasks, "task")
    if left_open:
        yield Finding("tasks", WARN, f"{words}, {len(left_open)} left open by processes that are gone", "agentlog recover")
    else:
        yield Finding("tasks", OK, f"{words}, none left open by a dead process")
    # Reads the delivery state of every task.
    waiting = sum(1 for _ in pending_tasks(root, since_s=0.0, idle_only=False)) if _sends(settings) else 0
    if waiting:
        yield Finding(
            "delivery", WARN, f"{formats.count(waiting, 'task')} may hold what the collector has not got", "agentlog ship"
        )


def _sends(settings: Settings) -> list[str]:
    return [signal for signal in SIGNALS if settings.exporter(signal) == "otlp"]


def _sending(settings: Settings, send: bool, jaeger: str | None) -> Iterator[Finding]:
    if not _sends(settings):
        yield Finding("collector", OK, "none set: everything stays in the folders", "set OTEL_EXPORTER_OTLP_ENDPOINT to send it")
        return
    if not send:
        yield Finding("collector", OK, f"{_collector(settings)}, not tried")
        return
    # Imported here: the OpenTelemetry SDK takes longer to import than all the rest.
    from otel_agentlog.export.probe import probe

    trace_id = ""
    for probed in probe(settings):
        trace_id = probed.trace_id
        if probed.taken:
            what = f"trace {trace_id}" if probed.signal == "traces" else "log record"
            yield Finding(probed.signal, OK, f"{_collector(settings)} took the test {what} in {probed.took_ms:.0f} ms")
        else:
            yield Finding(probed.signal, BAD, f"{_collector(settings)} did not take it: {probed.reason}", _hint(probed.reason))
    if jaeger and trace_id:
        yield _in_jaeger(jaeger, trace_id)


def _hint(reason: str) -> str:
    for sign, hint in (
        ("connection", "is it running, and is the port right? 4318 is http, 4317 is gRPC"),
        ("timeout", "something is there and does not answer: a firewall, or another service"),
        ("http_404", "the endpoint is the base URL, without /v1/traces; 4318 is http, 4317 is gRPC"),
        ("http_401", "set OTEL_EXPORTER_OTLP_HEADERS"),
        ("http_403", "set OTEL_EXPORTER_OTLP_HEADERS"),
        ("unauthenticated", "set OTEL_EXPORTER_OTLP_HEADERS"),
        ("unavailable", "is it running, and does the port speak gRPC? 4317 is gRPC, 4318 is http"),
    ):
        if sign in reason.lower():
            return hint
    return ""


def _collector(settings: Settings) -> str:
    return collector_url(settings) or "http://localhost:4318"


def _in_jaeger(jaeger: str, trace_id: str) -> Finding:
    deadline = time.monotonic() + 15.0
    url = f"{jaeger.rstrip('/')}/api/traces/{trace_id}"
    problem = ""
    while time.monotonic() < deadline:
        try:
            with urlopen(Request(url, headers={"Accept": "application/json"}), timeout=5) as answer:  # noqa: S310 - given by the user
                if trace_id.lstrip("0").encode() in answer.read(1024 * 1024):
                    return Finding("jaeger", OK, f"has the test trace {trace_id}")
        except (OSError, ValueError) as error:
            problem = f": {error}"
        time.sleep(0.5)
    return Finding("jaeger", BAD, f"has no test trace {trace_id} after 15 s{problem}", "does the collector export to it?")


def _nearest(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return path
