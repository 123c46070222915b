"""Builds a data set: a folder with ``train`` and ``test`` and a manifest, the same from the same tasks each time.

Tasks come in the order of their creation; of rows that are equal the first stays. A task is in one of the parts with all of its
rows, and with its sub-tasks: what decides is a hash of its trace.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import field
from pathlib import Path
from typing import IO, Any, Protocol

import orjson

import otel_agentlog._platform as system
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.errors import AgentlogError, ConfigurationError
from otel_agentlog.settings.version import __version__
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.tools.datasets.examples import Example, NoExample, examples_of
from otel_agentlog.tools.datasets.shapes import SHAPES
from otel_agentlog.vocabulary.coerce import text
from otel_agentlog.vocabulary.lines import encode

VERSION = 1
"""Of the manifest."""

MANIFEST = "manifest.json"
_BATCH = 1_000
"""Rows that are written at once to Parquet."""


@dataclass(frozen=True)
class Choice:
    """What the data set is to be."""

    of: str
    """``calls`` or ``tasks``."""
    shape: str
    """One of `SHAPES`."""
    to: str = "jsonl"
    """``jsonl`` or ``parquet``."""
    test: float = 0.0
    """The share of tasks in ``test``, 0 to 1."""
    seed: str = ""
    """Another one gives other parts."""
    query: Mapping[str, Any] = field(default_factory=dict)
    """What chose the tasks, for the manifest."""


@dataclass
class ExamplesFound:
    """What there is to make examples of."""

    tasks: int = 0
    examples: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """How many are none, by why."""


def in_order(folders: Sequence[Path]) -> list[TaskReader]:
    """The tasks in these folders in the order of their creation."""
    tasks = [TaskReader(folder) for folder in folders]
    return sorted(tasks, key=lambda task: (text(task.metadata() or {}, "created_at") or "", task.task_id))


def survey(tasks: Sequence[TaskReader], choice: Choice) -> ExamplesFound:
    """Count what there is, without writing anything."""
    found = ExamplesFound(tasks=len(tasks))
    for task in tasks:
        for each in examples_of(task, choice.of):
            if isinstance(each, NoExample):
                found.skipped[each.why] += 1
            else:
                found.examples += 1
    return found


def build(tasks: Sequence[TaskReader], choice: Choice, target: Path) -> dict[str, Any]:
    """Write the data set to a folder that is not there yet, and return its manifest.

    Raises:
        ConfigurationError: the folder is there.
        AgentlogError: Parquet is wanted and pyarrow is not installed.
        OSError: it cannot be written.
    """
    if os.path.lexists(target):
        raise ConfigurationError("--output", str(target), "a folder that is not there yet")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    part.mkdir(mode=0o700)
    try:
        manifest = _Building(choice, part).run(tasks)
        (part / MANIFEST).write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
        os.chmod(part / MANIFEST, 0o600)
        system.rename(part, target)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    return manifest


class _Rows(Protocol):
    """Takes the rows of one file."""

    def add(self, row: dict[str, Any], example: Example) -> None: ...
    def close(self) -> None: ...


class _Lines:
    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = os.fdopen(system.open(path, system.UPDATE | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    def add(self, row: dict[str, Any], example: Example) -> None:
        self._file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

    def close(self) -> None:
        self._file.close()


class _Parquet:
    """Columns of texts; what is no text is JSON."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        try:
            import pyarrow  # type: ignore[import-untyped]  # it has no stubs
            from pyarrow import parquet
        except ImportError:
            raise_interrupt()
            raise AgentlogError("--to parquet needs the package pyarrow: pip install 'otel_agentlog[parquet]'") from None
        self._arrow = pyarrow
        self._columns = ("task_id", "span_id", "model", "provider", *columns)
        self._schema = pyarrow.schema([(name, pyarrow.string()) for name in self._columns])
        self._writer = parquet.ParquetWriter(path, self._schema)
        os.chmod(path, 0o600)
        self._rows: list[dict[str, str | None]] = []

    def add(self, row: dict[str, Any], example: Example) -> None:
        about = {"task_id": example.task_id, "span_id": example.span_id, "model": example.model, "provider": example.provider}
        self._rows.append({name: _cell({**about, **row}.get(name)) for name in self._columns})
        if len(self._rows) >= _BATCH:
            self._write()

    def _write(self) -> None:
        self._writer.write_table(self._arrow.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []

    def close(self) -> None:
        self._write()
        self._writer.close()


def _cell(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else orjson.dumps(value).decode()


_COLUMNS: Mapping[str, Sequence[str]] = {
    "openai": ("messages", "tools"),
    "anthropic": ("system", "messages", "tools"),
    "cases": ("id", "input", "output", "scores", "outcome", "name", "tags", "tools", "metrics"),
}


class _Building:
    def __init__(self, choice: Choice, folder: Path) -> None:
        self._choice, self._folder = choice, folder
        self._seen: set[bytes] = set()
        """Hashes of the rows."""
        self._counts: Counter[str] = Counter()
        self._skipped: Counter[str] = Counter()

    def run(self, tasks: Sequence[TaskReader]) -> dict[str, Any]:
        choice = self._choice
        names = {part: f"{part}.{choice.to}" for part in (("train", "test") if choice.test else ("train",))}
        with ExitStack() as stack:
            files = {part: self._open(name) for part, name in names.items()}
            for file in files.values():
                stack.callback(file.close)
            sources = [self._task(task, files) for task in tasks]
        chosen = {key: getattr(choice, key) for key in ("of", "shape", "to", "test", "seed", "query")}
        written = [
            {"name": name, "rows": self._counts[part], "sha256": hashlib.sha256((self._folder / name).read_bytes()).hexdigest()}
            for part, name in names.items()
        ]
        counts = {
            "tasks": len(tasks),
            "rows": sum(self._counts[part] for part in names),
            "duplicates": self._counts["duplicates"],
        }
        return {
            "format_version": VERSION,
            "agentlog": __version__,
            **chosen,
            "counts": {**counts, "left_out": dict(sorted(self._skipped.items()))},
            "files": written,
            "sources": sources,
        }

    def _open(self, name: str) -> _Rows:
        path = self._folder / name
        return _Lines(path) if self._choice.to == "jsonl" else _Parquet(path, _COLUMNS[self._choice.shape])

    def _task(self, task: TaskReader, files: Mapping[str, _Rows]) -> dict[str, Any]:
        part = self._part_of(task)
        added = 0
        for example, row in self._new_rows(task):
            files[part].add(row, example)
            self._counts[part] += 1
            added += 1
        return {"task_id": task.task_id, "part": part, "rows": added, "sha256": _hash_of(task)}

    def _new_rows(self, task: TaskReader) -> Iterator[tuple[Example, dict[str, Any]]]:
        make: Callable[[Example, TaskReader], dict[str, Any]] = SHAPES[self._choice.shape]
        for each in examples_of(task, self._choice.of):
            if isinstance(each, NoExample):
                self._skipped[each.why] += 1
                continue
            row = make(each, task)
            digest = hashlib.sha256(orjson.dumps(row, option=orjson.OPT_SORT_KEYS)).digest()
            if digest in self._seen:
                self._counts["duplicates"] += 1
                continue
            self._seen.add(digest)
            yield each, row

    def _part_of(self, task: TaskReader) -> str:
        metadata = task.metadata() or {}
        # Sub-tasks are in the trace of their task.
        key = f"{self._choice.seed}\0{text(metadata, 'trace_id') or task.task_id}"
        share = int.from_bytes(hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[:8], "big") / 2**64
        return "test" if share < self._choice.test else "train"


def _hash_of(task: TaskReader) -> str:
    """A hash of what a task's rows are made of: its lines, its input, how it ended; compressed or not."""
    digest = hashlib.sha256()
    for line in task.events():
        digest.update(encode(line))
    digest.update(orjson.dumps([task.input(), task.final_result()], option=orjson.OPT_SORT_KEYS))
    return digest.hexdigest()
