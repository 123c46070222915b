"""Variables that other software reads too (``OTEL_*``, ``LOG_LEVEL``): what can be used of them is used, the rest is reported.

They may have been set for other software, so none of them keeps a program from starting. A reader here takes the variable's name
and text, and returns the value and ``None``, or what is wrong with it: ``(value, complaint)``; a value of ``None`` counts as not
set. What each may be is in the OpenTelemetry specification ("OpenTelemetry Environment Variable Specification", "OTLP Exporter
Configuration"), older forms in the releases of the instrumentations.
"""

from __future__ import annotations

import ipaddress
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias
from urllib.parse import unquote, urlsplit

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.errors import ConfigurationError, shown

Reading: TypeAlias = "tuple[Any, str | None]"
"""The value, or ``None`` where none can be used; and what is wrong with the text, or ``None``."""
Reader: TypeAlias = "Callable[[str, str, Mapping[str, str]], Reading]"
"""Takes the variable's name, its text, and the environment."""

LONGEST_WAIT_S = 7 * 86_400.0
"""Longest time, in seconds, that anything here waits: systems refuse to wait much longer, Linux for a socket from 25 days on."""

_OWN = ("AGENTLOG_", "TASK_LOGS_")


def is_shared(variable: str) -> bool:
    """Whether other software reads this variable too."""
    return not variable.startswith(_OWN)


def lenient(read: Callable[[str, Any], Any]) -> Reader:
    """A reader that tells what the strict one refuses."""

    def take(variable: str, text: str, environment: Mapping[str, str]) -> Reading:
        try:
            return read(variable, text), None
        except ConfigurationError as refusal:
            return None, f"{str(refusal).removeprefix('setting ')}; it is ignored"

    return take


def _complaint(variable: str, text: str, expected: str, instead: str) -> str:
    return f"{variable}: expected {expected}, found {shown(text)}; {instead}"


def service_in_resource(environment: Mapping[str, str]) -> str | None:
    """``service.name`` of ``OTEL_RESOURCE_ATTRIBUTES``, which is ``key=value`` pairs, percent-encoded, the last one counting."""
    pairs = [pair.partition("=") for pair in environment.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",")]
    return (
        next((unquote(value.strip()).strip() for key, _, value in reversed(pairs) if key.strip() == "service.name"), None) or None
    )


# -- what is read as one of our settings -----------------------------------------------------------------------------------

_EXPORTERS = {"otlp": "otlp", "otlp_proto_http": "otlp", "otlp_proto_grpc": "otlp", "console": "console", "logging": "console"}
_OF_OTHERS = frozenset({"none", "zipkin", "zipkin_json", "zipkin_proto", "jaeger", "prometheus", "opencensus", "otlp/stdout"})
"""Exporters that there are, and none of ours: who chose only such ones did not choose ours."""


OURS = "agentlog"
"""Our own name among exporters (`otel_agentlog.zero_code`)."""


def names_ours(environment: Mapping[str, str], signal: str) -> bool:
    """Whether the SDK is to set up our exporter for a signal."""
    return OURS in _names(environment.get(f"OTEL_{signal.upper()}_EXPORTER", ""))


def _names(text: str) -> list[str]:
    return [name.strip().lower() for name in text.split(",") if name.strip()]


def exporter(variable: str, text: str, environment: Mapping[str, str], known: Mapping[str, str] = _EXPORTERS) -> Reading:
    """One exporter, or a list of them of which the first one that there is here counts, OTLP before the others."""
    names = _names(text)
    if OURS in names:
        # What writes the folders; where it is alone nothing is sent.
        names = [name for name in names if name != OURS] or ["none"]
    usable = sorted({known[name] for name in names if name in known}, key=_ORDER.index)
    if names == ["none"] or (len(names) == 1 and usable):
        return ([*usable, "none"])[0], None
    chosen = usable[0] if usable else "none" if _OF_OTHERS.intersection(names) else None
    instead = f"{chosen} is used" if chosen else "it is ignored"
    expected = ", ".join([*dict.fromkeys(known.values()), "none"])
    return chosen, _complaint(variable, text, f"one of {expected}", instead)


_ORDER = ("otlp", "statsd", "console")


def metrics_exporter(variable: str, text: str, environment: Mapping[str, str]) -> Reading:
    """The same for metrics, which may go to StatsD, too."""
    return exporter(variable, text, environment, {**_EXPORTERS, "statsd": "statsd"})


def protocol(variable: str, text: str, environment: Mapping[str, str]) -> Reading:
    """``grpc`` or ``http/protobuf``, which every receiver of ``http/json`` takes too."""
    word = text.strip().lower()
    if word in ("grpc", "http/protobuf"):
        return word, None
    chosen = "http/protobuf" if word.startswith("http") else None
    instead = f"{chosen} is used" if chosen else "it is ignored"
    return chosen, _complaint(variable, text, "one of http/protobuf, grpc", instead)


def endpoint(variable: str, text: str, environment: Mapping[str, str]) -> Reading:
    """An http or https URL; ``host:port``, as gRPC has it, gets the scheme that ``OTEL_EXPORTER_OTLP_INSECURE`` says."""
    found = text.strip()
    with_scheme = found if "://" in found else f"{_scheme(variable, found, environment)}://{found}"
    try:
        parts = urlsplit(with_scheme)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        raise_interrupt()
        parts, usable = urlsplit(""), False
    if usable and with_scheme == found:
        return found, None
    # The value may hold credentials: the complaint has what is wrong, not the value.
    expected = f"{variable}: expected a URL like http://localhost:4318, found "
    if not usable:
        return None, f"{expected}something else; it is ignored"
    return with_scheme, f"{expected}one without scheme; {parts.scheme}:// is used"


def _scheme(variable: str, address: str, environment: Mapping[str, str]) -> str:
    own = environment.get(variable.replace("_ENDPOINT", "_INSECURE")) or environment.get("OTEL_EXPORTER_OTLP_INSECURE")
    if own:
        return "http" if own.strip().lower() == "true" else "https"
    return "http" if _is_loopback(address) else "https"


def _is_loopback(address: str) -> bool:
    try:
        host = urlsplit(f"//{address}").hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        raise_interrupt()
        return False


_CONTENT = ("NO_CONTENT", "SPAN_ONLY", "EVENT_ONLY", "SPAN_AND_EVENT")
_OLD_CONTENT = {"true": "SPAN_AND_EVENT", "1": "SPAN_AND_EVENT", "false": "NO_CONTENT", "0": "NO_CONTENT"}


def genai_content(variable: str, text: str, environment: Mapping[str, str]) -> Reading:
    """Where content goes; ``true`` and ``false`` are what instrumentations before 2025 had."""
    word = text.strip()
    if word.upper() in _CONTENT:
        return word.upper(), None
    chosen = _OLD_CONTENT.get(word.lower())
    instead = f"{chosen} is used" if chosen else "it is ignored"
    complaint = _complaint(variable, text, "one of " + ", ".join(_CONTENT), instead)
    return chosen, None if chosen == "NO_CONTENT" else complaint


_LEVELS_OF_OTHERS = {
    "DEBUG": "trace verbose silly finest finer fine all debugging",
    "INFO": "notice information informational log",
    "WARNING": "warnings alert",
    "ERROR": "err severe failure",
    "CRITICAL": "crit emerg emergency panic off none silent quiet disabled",
}
_LEVEL_OF = {word: level for level, words in _LEVELS_OF_OTHERS.items() for word in words.split()}


def log_level(read: Callable[[str, Any], Any]) -> Reader:
    """A reader of a level of other software: the words that ours has not stand for the nearest one."""

    def take(variable: str, text: str, environment: Mapping[str, str]) -> Reading:
        return lenient(read)(variable, _LEVEL_OF.get(text.strip().lower(), text), environment)

    return take


# -- what the OpenTelemetry SDK reads --------------------------------------------------------------------------------------

_LIMITS = tuple(
    f"OTEL_{name}_LIMIT"
    for name in (
        *("ATTRIBUTE_COUNT", "ATTRIBUTE_VALUE_LENGTH", "SPAN_ATTRIBUTE_COUNT", "SPAN_ATTRIBUTE_VALUE_LENGTH"),
        *("SPAN_EVENT_COUNT", "SPAN_LINK_COUNT", "EVENT_ATTRIBUTE_COUNT", "LINK_ATTRIBUTE_COUNT"),
        *("LOGRECORD_ATTRIBUTE_COUNT", "LOGRECORD_ATTRIBUTE_VALUE_LENGTH"),
    )
)
_OTLP = ("OTEL_EXPORTER_OTLP", *(f"OTEL_EXPORTER_OTLP_{signal}" for signal in ("TRACES", "LOGS", "METRICS")))


def _is_count(text: str) -> bool:
    try:
        return not text.strip() or int(text) >= 0
    except ValueError:
        raise_interrupt()
        return False


def _is_duration(text: str, at_most: float = threading.TIMEOUT_MAX * 1000) -> bool:
    try:
        return 0 < float(text) <= at_most
    except ValueError:
        raise_interrupt()
        return False


def _is_timeout(text: str) -> bool:
    return _is_duration(text, LONGEST_WAIT_S)


def _one_of(*words: str) -> Callable[[str], bool]:
    return lambda text: text.strip().lower() in words


def _is_provider(signal: str) -> Callable[[str], bool]:
    def is_installed(text: str) -> bool:
        from importlib.metadata import entry_points  # takes 10 ms, and hardly anybody sets these variables

        return bool(entry_points(group=f"opentelemetry_{signal}_provider", name=text))

    return is_installed


_FOR_SDK: Mapping[str, tuple[Callable[[str], bool], str]] = {
    **dict.fromkeys(_LIMITS, (_is_count, "a whole number of at least 0")),
    "OTEL_METRIC_EXPORT_INTERVAL": (_is_duration, "milliseconds, more than 0 and no more than a thread can wait"),
    "OTEL_METRIC_EXPORT_TIMEOUT": (_is_duration, "milliseconds, more than 0 and no more than a thread can wait"),
    "OTEL_METRICS_EXEMPLAR_FILTER": (
        _one_of("always_on", "always_off", "trace_based"),
        "one of always_on, always_off, trace_based",
    ),
    **{f"{name}_TIMEOUT": (_is_timeout, f"seconds, more than 0 and at most {LONGEST_WAIT_S:g}") for name in _OTLP},
    **{f"{name}_COMPRESSION": (_one_of("gzip", "deflate", "none", ""), "one of none, gzip, deflate") for name in _OTLP},
    **{
        f"OTEL_PYTHON_{signal.upper()}_PROVIDER": (_is_provider(signal), "the name of a provider that is installed")
        for signal in ("tracer", "meter", "logger")
    },
}
"""Variables of which the SDK or an exporter raises for some values, or takes one that does harm; which are good, in words too."""


def refused(environment: Mapping[str, str]) -> dict[str, str]:
    """The standard variables with a value that cannot be used, and what is wrong with it; a blank one is not listed."""
    return {
        name: _complaint(name, environment[name], expected, "it is ignored") if environment[name].strip() else ""
        for name, (is_good, expected) in _FOR_SDK.items()
        if environment.get(name) and not is_good(environment[name])
    }


@contextmanager
def usable_variables() -> Iterator[Sequence[str]]:
    """A block in which the SDK does not see the variables that it would raise for; their names, nearly always none."""
    taken = {name: os.environ.pop(name) for name in refused(os.environ)}
    try:
        yield tuple(taken)
    finally:
        os.environ.update(taken)
