"""Files of lines in answers: a page from an offset on, or the whole in pieces of bounded size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from otel_agentlog._startup import dataclass
from otel_agentlog.store.folder.layout import FINAL_RESULT
from otel_agentlog.store.folder.reader import TaskReader, read_lines
from otel_agentlog.view.render.json_line import json_line
from otel_agentlog.vocabulary.lines import Line

PIECE_BYTES = 64 * 1024

_CLIPPED_DEPTH = 200


@dataclass(frozen=True, slots=True)
class FilePage:
    """Some lines of a file."""

    lines: list[Line]
    next: int
    """Offset, in uncompressed bytes, of the line after the last one."""
    more: bool
    """Whether there were more lines when this was read."""
    skipped: int
    """Damaged lines that were skipped."""


def page_of(task: TaskReader, name: str, after: int, most_lines: int, most_bytes: int) -> FilePage:
    """Return lines of one of a task's files from an offset on; a line that is still being written is left out."""
    reader = read_lines(task.folder / name, offset=after, live=not task.stamp(FINAL_RESULT))
    found: list[Line] = []
    begin = after
    for line in reader:
        # Records of one physical line, glued together by a crash, stay together: they have the same offset.
        full = len(found) >= most_lines or reader.offset - after >= most_bytes
        if full and found and reader.offset != begin:
            return FilePage(found, reader.offset, True, reader.bad)
        begin = reader.offset
        found.append(line)
    return FilePage(found, reader.offset, False, reader.bad)


def ndjson(lines: Iterator[Line]) -> Iterator[bytes]:
    """Yield lines as a ``.jsonl`` file, in pieces."""
    piece = bytearray()
    for line in lines:
        piece += json_line(line)
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def whole_task(task: TaskReader, task_id: str, files: dict[str, str]) -> Iterator[bytes]:
    """Yield one JSON object with all that is in a task's folder, in pieces; `files` are files of lines by key."""
    yield b'{"task_id":' + _json(task_id)
    for key, value in (("metadata", task.metadata()), ("input", task.input())):
        yield b',"' + key.encode() + b'":' + _json(value)
    for key, name in files.items():
        yield b',"' + key.encode() + b'":['
        yield from _with_commas(iter(task.lines(name)))
        yield b"]"
    yield b',"final_result":' + _json(task.final_result())
    yield b',"problems":' + _json([str(problem) for problem in task.problems]) + b"}\n"


def _with_commas(lines: Iterator[Line]) -> Iterator[bytes]:
    piece, comma = bytearray(), b""
    for line in lines:
        piece += comma + _json(line)
        comma = b",\n"
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def _json(value: Any) -> bytes:
    return json_line(value).rstrip(b"\n")


def clipped(value: Any, most: int, depth: int = 0) -> Any:
    """Return a value in which no text is longer than `most` characters; one that was ends with how much is missing.

    Images in messages stay whole.
    """
    if isinstance(value, str):
        return value if len(value) <= most else f"{value[:most]}… [{len(value) - most:,} more characters]"
    if depth > _CLIPPED_DEPTH:
        return value
    if isinstance(value, dict):
        # Half an image is none; one that is large stands in a file of its own.
        whole = "content" if value.get("type") == "blob" and value.get("modality") == "image" else None
        return {key: item if key == whole else clipped(item, most, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [clipped(item, most, depth + 1) for item in value]
    return value
