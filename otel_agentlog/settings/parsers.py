"""How a value from code, file or environment becomes the value of a setting.

Every parser takes the setting's name, for the error, and the value as it was found, and raises `ConfigurationError` for what
cannot be used. `connection` reads the standard ``OTEL_EXPORTER_OTLP_*`` variables; what cannot be used there counts as not
set, as the standard demands.
"""

from __future__ import annotations

import enum
import math
import numbers
import os
import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass, lazy_pattern
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.settings import standard
from otel_agentlog.vocabulary.coerce import parse_float
from otel_agentlog.vocabulary.states import LogLevel

_UNITS = {"": 1, "b": 1, **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)}}
_UNITS.update({f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)})
_SIZE = lazy_pattern(r"(\d{1,15}(?:\.\d{1,9})?) ?(b|[kmgt]i?b|)", re.ASCII | re.IGNORECASE)

_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DURATION = lazy_pattern(r"(\d{1,15}(?:\.\d{1,9})?) ?(ms|s|min|m|h|d|w)", re.ASCII | re.IGNORECASE)

DEFAULT_TIMEOUT_S = 10.0
"""How long, in seconds, a request to a collector may take where no variable sets it."""

LEVELS = tuple(level.value for level in LogLevel)


def setting(default: Any, *variables: str, read: Callable[[str, Any], Any], shared: standard.Reader | None = None) -> Any:
    """A field with its environment variables, in order of strength, and the function that checks a value.

    ``shared`` reads those of the variables that other software reads too; by default what ``read`` refuses is ignored there.
    """
    metadata = {"variables": variables, "read": read, "shared": shared or standard.lenient(read)}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


_SURROGATE = lazy_pattern("[\ud800-\udfff]")


def encodable(text: str) -> str:
    """A text of the operating system with what was not UTF-8 in it replaced, so that it can be written anywhere."""
    return _SURROGATE.sub("\ufffd", text)


def by_value(value: Any) -> Any:
    """What was given, of a member of an enumeration its value."""
    return value.value if isinstance(value, enum.Enum) else value


def text(name: str, value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(name, value, "a text that is not empty")
    return encodable(value.strip())


def path(name: str, value: Any) -> Path:
    """An absolute path; ``~`` is expanded."""
    found = os.fsdecode(value) if isinstance(value, (str, os.PathLike)) else ""
    if not found or "\0" in found:
        raise ConfigurationError(name, value, "a path")
    expanded = os.path.expanduser(found)
    if expanded.startswith("~"):
        raise ConfigurationError(name, value, "a path without ~, as there is no home here")
    try:
        return Path(os.path.abspath(expanded))
    except OSError:
        raise_interrupt()
        raise ConfigurationError(name, value, "an absolute path, as the working directory is gone") from None


def root_path(name: str, value: Any) -> Path:
    """The absolute path of a folder, of which its own name may be a link: then where that leads to now.

    Who uses the path follows no link, as others may put one in a folder's place. One that another user made is not followed here.
    """
    found = path(name, value)
    try:
        is_ours = os.path.islink(found) and (not system.HAS_OWNERS or os.lstat(found).st_uid in (0, system.user_id()))
        return Path(os.path.realpath(found)) if is_ours else found
    except OSError:
        raise_interrupt()
        return found  # gone in between


def file_path(name: str, value: Any) -> Path:
    """The absolute path of a file, links followed: an ordinary one, or none yet. Devices and folders would be renamed."""
    found = Path(os.path.realpath(path(name, value)))
    if os.fsdecode(value)[-1:] == os.sep or found == found.parent or (os.path.lexists(found) and not found.is_file()):
        raise ConfigurationError(name, value, "the path of an ordinary file")
    return found


def flag(name: str, value: Any) -> bool:
    """True or false, or a word for it."""
    if isinstance(value, bool):
        return value
    known = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    if isinstance(value, str) and value.strip().lower() in known:
        return known[value.strip().lower()]
    raise ConfigurationError(name, value, "true or false")


def one_of(*choices: str) -> Callable[[str, Any], str]:
    """A reader of one of these words, in any case."""

    def read(name: str, value: Any) -> str:
        word = by_value(value)
        for choice in choices:
            if isinstance(word, str) and word.strip().lower() == choice.lower():
                return choice
        raise ConfigurationError(name, value, "one of " + ", ".join(choices))

    return read


def number(at_least: float, whole: bool = False, at_most: float = math.inf) -> Callable[[str, Any], Any]:
    """A reader of a number of at least this, and at most that."""

    def read(name: str, value: Any) -> Any:
        limit = "" if at_most == math.inf else f" and at most {at_most:g}"
        expected = f"a {'whole ' if whole else ''}number of at least {at_least:g}{limit}"
        number = _number(value)
        if number is None or not at_least <= number <= at_most or number == math.inf or (whole and number != int(number)):
            raise ConfigurationError(name, value, expected)
        return int(number) if whole else number

    return read


port = number(1, whole=True, at_most=65_535)
"""A port of TCP or UDP."""


def _number(value: Any) -> int | float | None:
    """A number that is one, or is written as one; ``None`` for anything else, and for what is too large for a float."""
    if isinstance(value, bool) or not isinstance(value, (numbers.Real, str, Decimal)):
        return None
    try:
        as_float = parse_float(value)
        return int(value) if isinstance(value, (int, Decimal)) and math.isfinite(as_float) and value == int(value) else as_float
    except (ValueError, OverflowError):
        raise_interrupt()
        return None


def duration(at_least: float, unit_s: float = 1.0, at_most: float = math.inf) -> Callable[[str, Any], Any]:
    """A reader of a time: a number of ``unit_s`` seconds each, a `timedelta`, or a text such as ``500ms`` or ``7d``."""
    plain = number(at_least, at_most=at_most)

    def read(name: str, value: Any) -> Any:
        if isinstance(value, timedelta):
            return plain(name, value.total_seconds() / unit_s)
        match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
        return plain(name, float(match[1]) * _SECONDS[match[2].lower()] / unit_s if match else value)

    return read


def whole(read: Callable[[str, Any], Any]) -> Callable[[str, Any], int]:
    """A reader that refuses what is no whole number."""

    def read_whole(name: str, value: Any) -> int:
        found = read(name, value)
        if found != int(found):
            raise ConfigurationError(name, value, "a whole number")
        return int(found)

    return read_whole


def size_from(at_least: int) -> Callable[[str, Any], int]:
    """A reader of bytes: a whole number, or one with a unit.

    kB, MB, GB, TB count in thousands, KiB, MiB, GiB, TiB in 1024s.
    """

    def read(name: str, value: Any) -> int:
        match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
        # A lone M could be either, and the smaller one would delete what the larger one keeps.
        factor = _UNITS[match[2].lower()] if match else 1
        found = int(Decimal(match[1]) * factor) if match and (factor > 1 or "." not in match[1]) else value
        if isinstance(found, bool) or not isinstance(found, int) or found < at_least:
            least = f" of at least {at_least}" if at_least > 1 else ""
            raise ConfigurationError(name, value, f"a number of bytes{least}, such as 500MB or 2GiB")
        return int(found)

    return read


size = size_from(1)
"""Bytes, as a whole number or with a unit."""


_LEVEL_NAMES = {**{level: level for level in LEVELS}, "WARN": "WARNING", "FATAL": "CRITICAL", "NOTSET": "DEBUG"}


def level(name: str, value: Any) -> str:
    """A level by name, by the number that stdlib ``logging`` has for it, or as a member of an enumeration of either."""
    for candidate in (value.name, value.value) if isinstance(value, enum.Enum) else (value,):
        if (found := _level_of(candidate)) is not None:
            return found
    raise ConfigurationError(name, value, "one of " + ", ".join(LEVELS))


def _level_of(value: Any) -> str | None:
    if isinstance(value, str) and value.strip().upper() in _LEVEL_NAMES:
        return _LEVEL_NAMES[value.strip().upper()]
    number = _number(value)
    if number is None or not 0 <= number <= 50:
        return None
    # One between two words gets the lower one, which records more.
    return LEVELS[max(0, int(number) // 10 - 1)]


def levels(name: str, value: Any) -> Mapping[str, str]:
    """Levels by component, from a mapping or ``a=DEBUG,b=INFO``."""
    if isinstance(value, str):
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        value = {component.strip(): word for component, _, word in pairs}
    if not isinstance(value, Mapping):
        raise ConfigurationError(name, value, "component=LEVEL pairs")
    named = [(_component(name, component), word) for component, word in value.items()]
    return {component: level(f"{name}[{component}]", word) for component, word in named}


def _component(name: str, given: Any) -> str:
    found = by_value(given)
    if not isinstance(found, str) or not found.strip():
        raise ConfigurationError(name, given, "names of components or loggers")
    return found.strip()


def thresholds(name: str, value: Any) -> Mapping[str, Any]:
    """Thresholds by rule, from a mapping or ``error_rate_percent=15,task_cost_usd=2``; ``off`` for none."""
    if isinstance(value, str):
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        return {rule.strip(): _threshold(f"{name}[{rule.strip()}]", word.strip()) for rule, _, word in pairs}
    return mapping(name, value)


def _threshold(name: str, word: str) -> float | bool:
    if word.lower() in ("off", "false", "no"):
        return False
    try:
        return float(word)
    except ValueError:
        raise_interrupt()
        raise ConfigurationError(name, word, "a number, or off") from None


def texts(name: str, value: Any) -> tuple[str, ...]:
    """A list or set of texts, or one text with commas."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if isinstance(value, (bytes, bytearray)) or not isinstance(value, (Sequence, Set)):
        raise ConfigurationError(name, value, "a list of texts")
    found = []
    for item in map(by_value, value):
        # At the first one: a range has as many items as one likes.
        if not isinstance(item, str):
            raise ConfigurationError(name, value, "a list of texts")
        found.append(item)
    return tuple(found)


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else urlsplit("")
    except ValueError:  # brackets that do not close, a port that is no number
        raise_interrupt()
        return urlsplit("")


def endpoint(name: str, value: Any) -> str:
    """An http or https URL."""
    found = text(name, value)
    parts = _parts(found)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        # The value may hold credentials: the message has what is wrong, not the value.
        raise ConfigurationError(name, f"{parts.scheme or '?'}://…", "a URL like http://localhost:4318")
    return found


def trace_url(name: str, value: Any) -> str:
    """An http or https URL with ``{trace_id}`` in it."""
    found = text(name, value)
    parts = _parts(found)
    if parts.scheme not in ("http", "https") or not parts.hostname or "{trace_id}" not in found:
        raise ConfigurationError(name, found, "a URL like http://localhost:16686/trace/{trace_id}")
    return found


def mapping(name: str, value: Any) -> Mapping[str, Any]:
    """A mapping."""
    if not isinstance(value, Mapping):
        raise ConfigurationError(name, value, "a mapping")
    return dict(value)


def callables(name: str, value: Any) -> tuple[Callable[..., Any], ...]:
    """A list of functions."""
    if not isinstance(value, Sequence) or not all(callable(item) for item in value):
        raise ConfigurationError(name, value, "a list of functions")
    return tuple(value)


@dataclass(frozen=True)
class Connection:
    """How the connection of one signal is made, by the standard ``OTEL_EXPORTER_OTLP_*`` variables.

    Meanings are those of the official Python exporters: a variable of a signal before the general one.
    """

    headers: str = field(default="", repr=False)
    """``key=value`` pairs separated by commas, as in the variable."""
    timeout_s: float = DEFAULT_TIMEOUT_S
    compression: str = "none"
    """``none``, ``gzip`` or, over HTTP only, ``deflate``."""
    certificate: str | None = None
    """File of the certificates that are trusted."""
    client_key: str | None = None
    client_certificate: str | None = None
    ca_bundle: str | None = None
    """File or folder of the certificates that are trusted over HTTP where ``certificate`` is ``None``."""
    temporality: str = ""
    """Of metrics over HTTP: ``delta`` or ``lowmemory``; anything else is cumulative."""
    histogram_aggregation: str = ""
    """Of metrics over HTTP: ``base2_exponential_bucket_histogram``; anything else is explicit buckets."""
    exemplars: str = ""
    """Which measurements become exemplars: ``always_on``, ``always_off``, ``trace_based``; empty is the last."""


def connection(signal: str, environment: Mapping[str, str]) -> Connection:
    """The connection of ``traces``, ``logs`` or ``metrics``."""

    def value(name: str) -> str | None:
        return environment.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{name}") or environment.get(f"OTEL_EXPORTER_OTLP_{name}")

    def word(name: str) -> str:
        return (value(name) or "").strip().lower()

    return Connection(
        headers=value("HEADERS") or "",
        timeout_s=_seconds(value("TIMEOUT")),
        compression=word("COMPRESSION") if word("COMPRESSION") in ("gzip", "deflate") else "none",
        certificate=value("CERTIFICATE"),
        client_key=value("CLIENT_KEY"),
        client_certificate=value("CLIENT_CERTIFICATE"),
        ca_bundle=environment.get("REQUESTS_CA_BUNDLE") or environment.get("CURL_CA_BUNDLE"),
        temporality=word("TEMPORALITY_PREFERENCE"),
        histogram_aggregation=word("DEFAULT_HISTOGRAM_AGGREGATION"),
        exemplars=environment.get("OTEL_METRICS_EXEMPLAR_FILTER", "").strip().lower(),
    )


def _seconds(text: str | None) -> float:
    try:
        seconds = float(text or DEFAULT_TIMEOUT_S)
    except ValueError:
        raise_interrupt()
        return DEFAULT_TIMEOUT_S
    return seconds if 0 < seconds <= standard.LONGEST_WAIT_S else DEFAULT_TIMEOUT_S
