"""What the golden folders must read as, for ever: ``python -m tests.store.golden_expectations`` writes it down anew.

Look at the difference before keeping it.
"""

from __future__ import annotations

import base64
import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson

from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.store.folder.totals import replay
from otel_agentlog.store.spans.rebuild import rebuild
from otel_agentlog.store.spans.tree import tree
from tests.store.golden_writer import HERE


def path_of(task: TaskReader) -> Path:
    """Where the expectations of a golden folder stand."""
    return HERE.parent / f"{HERE.name}-{task.folder.name}.json"


def reading(task: TaskReader) -> dict[str, Any]:
    """Everything the readers say about a folder, as JSON."""
    rebuilt, tally = rebuild(task), replay(task)
    outline = [
        f"{'  ' * depth}{node.type} {node.name}: {'open' if node.is_open else node.outcome or 'ended'}, {node.duration_ms} ms, "
        f"{node.total.tokens['input_tokens']} in, {node.total.cost_usd} usd, {node.total.errors} errors, {node.total.logs} lines"
        for depth, node in tree(task).walk()
    ]
    return {
        "task_id": task.task_id,
        "metadata": task.metadata(),
        "input": task.input(),
        "final_result": task.final_result(),
        "control": list(task.control()),
        "metrics": tally.metrics(),
        "open": list(tally.open_spans),
        "writers": tally.writers,
        "tree": outline,
        "problems": [str(problem) for problem in task.problems],
        "spans": [plain(span) for span in rebuilt.spans],
        "logs": [plain(log) for log in rebuilt.logs],
    }


_LATER = ("noted", "span_events")
"""Fields of records that came after the expectations were written: what lines are sent as, and no part of what is read."""


def plain(value: Any) -> Any:
    """A value as JSON: long text by its length, bytes and odd floats tagged."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.name not in _LATER]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, str) and len(value) > 1000:
        return {"begins": value[:100], "length": len(value)}
    return value


if __name__ == "__main__":
    for each in list_tasks(HERE):
        path_of(each).write_bytes(orjson.dumps(reading(each), option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
