"""The formats, and which one a file has: found by what is in it, never by its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from otel_agentlog._startup import dataclass
from otel_agentlog.errors import AgentlogError
from otel_agentlog.tools.imports.readers import claude_code, codex, langfuse, messages, otlp, phoenix
from otel_agentlog.tools.imports.readers.events import Event
from otel_agentlog.tools.imports.readers.rows import Found, Row
from otel_agentlog.tools.imports.readers.spans import Traced

LOOKED_AT = 50
"""Rows that are looked at to find the format."""


class UnknownFormatError(AgentlogError):
    """A file is of no format that can be imported, or may be of several."""


class Transcript(Protocol):
    """Reads rows of a transcript, one file."""

    def read(self, row: Any) -> Iterator[Event]: ...
    def finish(self) -> Iterator[Event]: ...


@dataclass(frozen=True)
class Format:
    """One format: of transcripts, which have ``transcript``, or of traces, which have ``traced``."""

    name: str
    prefix: str
    """Of task ids."""
    recognises: Callable[[Any], bool]
    transcript: Callable[[int, Path], Transcript] | None = None
    traced: Callable[[Mapping[str, Any]], Iterator[Traced]] | None = None

    def takes(self, value: Any) -> bool:
        """Whether a value can be a row: an object, or a conversation that is an array."""
        return isinstance(value, dict) or (self.name == messages.NAME and isinstance(value, list) and messages.recognises(value))


FORMATS: Mapping[str, Format] = {
    each.name: each
    for each in (
        Format(claude_code.NAME, "claude", claude_code.recognises, lambda at_ns, path: claude_code.ClaudeCode(at_ns)),
        Format(codex.NAME, "codex", codex.recognises, lambda at_ns, path: codex.Codex(at_ns)),
        Format(messages.NAME, "chat", messages.recognises, messages.Messages),
        Format(otlp.NAME, "trace", otlp.recognises, traced=otlp.read),
        Format(langfuse.NAME, "trace", langfuse.recognises, traced=langfuse.read),
        Format(phoenix.NAME, "trace", phoenix.recognises, traced=phoenix.read),
    )
}


def unpacked(value: Any, form: Format | None = None) -> Iterator[Any]:
    """The rows in a value: the elements of an array that is no row by itself, else the value."""
    if isinstance(value, list) and not (form or FORMATS[messages.NAME]).takes(value):
        yield from value
    else:
        yield value


def format_of(path: Path, head: list[Found]) -> Format:
    """The format of a file, by its first rows.

    Raises:
        UnknownFormatError: none, or more than one; with what was expected, found, and where.
    """
    candidates: dict[str, Format] = {}
    first = None
    for found in head:
        for value in unpacked(found.value) if isinstance(found, Row) else ():
            if not isinstance(value, (dict, list)):
                continue
            first = first or (found.number, value)
            fitting = {name: each for name, each in FORMATS.items() if each.takes(value) and each.recognises(value)}
            if len(fitting) == 1:
                return next(iter(fitting.values()))
            candidates = candidates or fitting
    if candidates:
        raise UnknownFormatError(f"{path}: may be {' or '.join(sorted(candidates))}; name the one that it is: --format")
    raise UnknownFormatError(f"{_where(path, head, first)}; expected one of {', '.join(FORMATS)}")


def _where(path: Path, head: list[Found], first: tuple[int, Any] | None) -> str:
    if first is not None:
        number, value = first
        keys = ", ".join(sorted(value)[:8]) if isinstance(value, dict) else "an array"
        return f"{path}:{number}: no known format, found an object with {keys or 'nothing in it'}"
    if not head:
        return f"{path}: nothing in it"
    wrong = head[0]
    return f"{path}:{wrong.number}: no known format, found {_kind(wrong.value) if isinstance(wrong, Row) else 'no JSON'}"


def _kind(value: object) -> str:
    return "an array with nothing to import in it" if isinstance(value, list) else "a plain value"
