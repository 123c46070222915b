"""Makes a root with good tasks and with folders that are damaged in every way that a file, a value or a disk can be."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import otel_agentlog as agentlog

GOOD = ("good-one", "good-two", "good-three")
FILES = ("metadata.json", "01-input.json", "02-webhook-flow.jsonl", "03-agent-output.jsonl", "04-final-result.json")
MORE_FILES = ("control.jsonl", ".delivery.jsonl")
NESTED = b"[" * 10_000 + b"]" * 10_000
# Values of a wrong type or out of all range, as JSON: what a program, a person or a disk may have left.
VALUES = {
    "null": b"null",
    "true": b"true",
    "huge": b"1e300",
    "most": b"1.7e308",
    "least": b"-1.7e308",
    "integer": b"9" * 18,
    "infinite": b"1e999",
    "digits": b"9" * 5000,
    "negative": b"-1",
    "text": b'"x"',
    "empty": b'""',
    "list": b'[[1],{"a":2},null,"x"]',
    "object": b'{"a":{"b":[1e300]}}',
    "nested": b"[" * 150 + b"]" * 150,
    "acts": rb'"\u001b]0;x\u0007\u009b2J\u202e\u200b\u007f\ud800"',
    "formula": b'"\\n=1+1"',
    "year-0": b'"0000-01-01T00:00:00Z"',
    "year-9999": b'"9999-12-31T23:59:59.999999999Z"',
    "year-99999": b'"99999-01-01T00:00:00Z"',
    "before-1970": b'"0001-01-01T00:00:00.000000001Z"',
    "local": b'"2026-11-21T05:22:05+99:99"',
}


def good_tasks(root: Path) -> None:
    """Three tasks with everything a task has: steps, AI calls, tools, errors, one in another."""
    agentlog.configure(directory=root, log_directory=root.parent / "logs", console="off")
    for name in GOOD:
        with agentlog.task(name, task_id=name, input="ask", agent="brain", tags=["a"]) as task:
            with agentlog.step("plan"), agentlog.ai_call("gpt-4o", provider="openai") as call:
                call.usage(input_tokens=10, output_tokens=5)
            with agentlog.tool("search", arguments={"query": "x"}) as tool:
                tool.result = "found"
            agentlog.get_logger("damaged").error("broken", exc_info=ValueError("no"))
            task.result = {"answer": 42}
    agentlog.shutdown()


def damaged_folders(root: Path, *, big: bool = False) -> list[str]:
    """A copy of a good task for each kind of damage of each of its files; their names."""
    names = []
    for file in (*FILES, *MORE_FILES):
        for kind, damage in _DAMAGES.items():
            folder = _copy(root, f"bad-{file.strip('.').split('.')[0]}-{kind}")
            damage(folder, file)
            names.append(folder.name)
    for kind, value in VALUES.items():
        names += [folder.name for folder in _with_value(root, kind, value)]
    if big:
        _rewrite(_copy(root, "bad-big"), lambda text: text.replace(b'"plan"', b'"' + b"x" * 20_000_000 + b'"'))
    (root / "file").write_text("no folder")
    os.symlink("/", root / "task-link")
    (root / "task-empty").mkdir()
    return names


def _copy(root: Path, name: str) -> Path:
    folder = root / name
    folder.mkdir()
    for file in FILES:
        if (root / GOOD[0] / file).exists():
            (folder / file).write_bytes((root / GOOD[0] / file).read_bytes().replace(GOOD[0].encode(), name.encode()))
    for file in MORE_FILES:
        (folder / file).write_bytes(b"")
    return folder


def _rewrite(folder: Path, change: Callable[[bytes], bytes]) -> None:
    for path in folder.iterdir():
        path.write_bytes(change(path.read_bytes()))


def _with_value(root: Path, kind: str, value: bytes) -> Iterator[Path]:
    """One folder whose every key has this value, at the top and one level below, and one whose nested ones alone have it."""
    mark = "@@value@@"
    for depth in (0, 1):
        folder = _copy(root, f"bad-value-{kind}-{depth}")
        for path in folder.iterdir():
            lines = [json.loads(line) for line in path.read_bytes().splitlines() if line]
            changed = [_replaced(line, mark, depth) for line in lines]
            encoded = b"".join(json.dumps(line).encode() + b"\n" for line in changed)
            path.write_bytes(encoded.replace(json.dumps(mark).encode(), value))
        yield folder


_KEPT = ("type", "phase", "format_version", "task_id", "event_id", "span_id")
"""Without these a line is no line of a task."""


def _replaced(value: Any, mark: str, depth: int) -> Any:
    if isinstance(value, dict) and depth:
        return {key: _replaced(item, mark, depth - 1) for key, item in value.items()}
    if isinstance(value, dict):
        return {key: item if key in _KEPT else mark for key, item in value.items()}
    return value


def _written(data: bytes) -> Callable[[Path, str], None]:
    def write(folder: Path, file: str) -> None:
        (folder / file).write_bytes(data)

    return write


def _instead(make: Callable[[Path], object]) -> Callable[[Path, str], None]:
    def replace(folder: Path, file: str) -> None:
        (folder / file).unlink(missing_ok=True)
        make(folder / file)

    return replace


def _compressed(data: bytes) -> Callable[[Path, str], None]:
    def write(folder: Path, file: str) -> None:
        (folder / file).unlink(missing_ok=True)
        (folder / f"{file}.gz").write_bytes(data)

    return write


def _cut(folder: Path, file: str) -> None:
    data = (folder / file).read_bytes() if (folder / file).exists() else b""
    (folder / file).write_bytes(data[: len(data) // 2])


_DAMAGES: dict[str, Callable[[Path, str], None]] = {
    "empty": _written(b""),
    "nul": _written(b"\0" * 4096),
    "garbage": _written(bytes(range(256)) * 20),
    "list": _written(b"[]\n"),
    "text": _written(b'"x"\n'),
    "number": _written(b"1e300\n"),
    "nan": _written(b'{"task_id": NaN, "tags": Infinity}\n'),
    "nothing": _written(b"{}\n"),
    "nested": _written(b'{"tags": ' + NESTED + b"}\n"),
    "surrogates": _written(b'{"name": "\\ud800", "type": "log", "message": "\\udfff"}\n'),
    "no-utf-8": _written(b'{"name": "\xff\xfe", "type": "log", "message": "\xc3"}\n'),
    "cut": _cut,
    "fifo": _instead(os.mkfifo),
    "folder": _instead(lambda path: path.mkdir()),
    "link": _instead(lambda path: os.symlink("/etc/passwd", path)),
    "loop": _instead(lambda path: os.symlink(path.name, path)),
    "socket-link": _instead(lambda path: os.symlink("/dev/zero", path)),
    "unreadable": lambda folder, file: (folder / file).chmod(0) if (folder / file).exists() else None,
    "missing": _instead(lambda path: None),
    "gzip-broken": _compressed(gzip.compress(b'{"type": "log"}\n' * 1000)[:60]),
    "gzip-none": _compressed(b"no gzip"),
}
