"""A value of 20 MB costs the thread that records it a small multiple of hashing and writing it; it is kept whole and clean."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

import otel_agentlog as agentlog
from otel_agentlog.store.folder.reader import TaskReader

SIZE = 20_000_000
TEXT = ("The files were read and compared, none of them differs from what is there. " * (SIZE // 76 + 1))[:SIZE]
VALUES: dict[str, Any] = {
    "text": TEXT,
    "bytes": TEXT.encode(),
    "dict": {"a": 1, "text": TEXT},
    "JSON": json.dumps([{"id": each, "name": "a row of the table", "value": each / 7} for each in range(300_000)]),
    "numbers": list(range(1_000_000)),
}


def cpu_s(work: Callable[[], object]) -> float:
    """CPU seconds of this thread, the least of three times."""
    times = []
    for _ in range(3):
        began = time.thread_time()
        work()
        times.append(time.thread_time() - began)
    return min(times)


def least(value: Any, file: Path) -> None:
    """What no way of recording it can do without: a hash of it, its JSON, a file."""
    text = base64.b64encode(value).decode() if isinstance(value, bytes) else value
    data = orjson.dumps(text)
    hashlib.sha256(data)
    file.write_bytes(data)


@pytest.mark.parametrize("name", VALUES)
def test_a_large_value_costs_little_more_than_it_must(name: str, tasks_root: Path, tmp_path: Path) -> None:
    """As field of a log line, result of a tool, message to a model and input of a task."""
    value, log = VALUES[name], agentlog.get_logger("x")
    whole = value if isinstance(value, (str, bytes)) else TEXT
    needed = cpu_s(lambda: least(whole, tmp_path / "least"))

    def run() -> None:
        with agentlog.tool("t") as tool_run:
            tool_run.result = value

    def ask() -> None:
        with agentlog.ai_call("m", provider="p", messages=[{"role": "user", "content": value}]):
            pass

    with agentlog.task("job"):
        for work in (lambda: log.info("m", value=value), run, ask, lambda: agentlog.task("in", input=value).start().end()):
            assert cpu_s(work) < 5 * needed


def test_a_secret_at_its_end_is_found(tasks_root: Path) -> None:
    """However long the text before it is."""
    secret = "AKIA" + "IOSFODNN7" + "EXAMPLF"
    with agentlog.task("job", task_id="job-1") as task:
        agentlog.get_logger("x").info("m", value=f"{TEXT} {secret}", data=f"{TEXT} {secret}".encode())

    assert task.folder is not None
    kept = b"".join(path.read_bytes() for path in sorted((task.folder / "artifacts").iterdir()))
    assert secret.encode() not in kept
    assert b"[redacted:aws-access-key]" in kept
    (line,) = [line for line in TaskReader(task.folder).events() if line["type"] == "log"]
    assert json.dumps(line).count("$artifact") == 2
