"""How a value from code, file or environment becomes the value of a setting.

Every parser takes the setting's name, for the error, and the value as it was found, and raises `ConfigurationError` for what
cannot be used. `connection` reads the standard ``OTEL_EXPORTER_OTLP_*`` variables; what cannot be used there counts as not
set, as the standard demands.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from otel_agentlog.errors import ConfigurationError

_UNITS = {"": 1, "b": 1, **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)}}
_UNITS.update({f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)})
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?) ?(b|[kmgt]i?b|)", re.ASCII | re.IGNORECASE)

DEFAULT_TIMEOUT_S = 10.0
"""How long, in seconds, a request to a collector may take where no variable sets it."""

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def setting(default: Any, *variables: str, read: Callable[[str, Any], Any]) -> Any:
    """A field with its environment variables, in order of strength, and the function that checks a value."""
    metadata = {"variables": variables, "read": read}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def text(name: str, value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip():
        raise ConfigurationError(name, value, "a text that is not empty")
    return value.strip()


def path(name: str, value: Any) -> Path:
    """An absolute path; ``~`` is expanded."""
    if not isinstance(value, (str, os.PathLike)) or not os.fspath(value):
        raise ConfigurationError(name, value, "a path")
    return Path(os.path.abspath(os.path.expanduser(value)))


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
        for choice in choices:
            if isinstance(value, str) and value.strip().lower() == choice.lower():
                return choice
        raise ConfigurationError(name, value, "one of " + ", ".join(choices))

    return read


def number(at_least: float, whole: bool = False) -> Callable[[str, Any], Any]:
    """A reader of a number of at least this."""

    def read(name: str, value: Any) -> Any:
        expected = f"a {'whole ' if whole else ''}number of at least {at_least:g}"
        try:
            number = int(value) if whole else float(value)
        except (TypeError, ValueError):
            raise ConfigurationError(name, value, expected) from None
        if isinstance(value, bool) or not number >= at_least or number == float("inf"):
            raise ConfigurationError(name, value, expected)
        return number

    return read


def size(name: str, value: Any) -> int:
    """Bytes, as a whole number or with a unit: kB, MB, GB, TB count in thousands, KiB, MiB, GiB, TiB in 1024s."""
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    # A lone M could be either, and the smaller one would delete what the larger one keeps.
    factor = _UNITS[match[2].lower()] if match else 1
    number = int(Decimal(match[1]) * factor) if match and (factor > 1 or "." not in match[1]) else value
    if type(number) is not int or number < 1:
        raise ConfigurationError(name, value, "a number of bytes, such as 500MB or 2GiB")
    return number


def level(name: str, value: Any) -> str:
    """A level by name."""
    aliases = {"WARN": "WARNING", "FATAL": "CRITICAL"}
    text = value.strip().upper() if isinstance(value, str) else value
    text = aliases.get(text, text) if isinstance(text, str) else text
    if text not in LEVELS:
        raise ConfigurationError(name, value, "one of " + ", ".join(LEVELS))
    return str(text)


def levels(name: str, value: Any) -> Mapping[str, str]:
    """Levels by component, from a mapping or ``a=DEBUG,b=INFO``."""
    if isinstance(value, str):
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        value = {component.strip(): word for component, _, word in pairs}
    if not isinstance(value, Mapping):
        raise ConfigurationError(name, value, "component=LEVEL pairs")
    return {str(component): level(f"{name}[{component}]", word) for component, word in value.items()}


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
        raise ConfigurationError(name, word, "a number, or off") from None


def texts(name: str, value: Any) -> tuple[str, ...]:
    """A list of texts, or one text with commas."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, Sequence) or not all(isinstance(item, str) for item in value):
        raise ConfigurationError(name, value, "a list of texts")
    return tuple(value)


def endpoint(name: str, value: Any) -> str:
    """An http or https URL."""
    found = text(name, value)
    parts = urlsplit(found)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        # The value may hold credentials: the message has what is wrong, not the value.
        raise ConfigurationError(name, f"{parts.scheme or '?'}://…", "a URL like http://localhost:4318")
    return found


def trace_url(name: str, value: Any) -> str:
    """An http or https URL with ``{trace_id}`` in it."""
    found = text(name, value)
    parts = urlsplit(found)
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

    headers: str = ""
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
    )


def _seconds(text: str | None) -> float:
    try:
        seconds = float(text or DEFAULT_TIMEOUT_S)
    except ValueError:
        return DEFAULT_TIMEOUT_S
    return seconds if 0 < seconds < float("inf") else DEFAULT_TIMEOUT_S
