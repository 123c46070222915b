"""Tasks for the questions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.query.folders import MakeTask


@pytest.fixture
def make_task(tmp_path: Path) -> MakeTask:
    """Write a folder by hand, as damaged or unfinished as a test wants it: ``make_task(id, metadata, *lines, final=…)``."""

    def make(task_id: str, metadata: dict[str, Any] | None, *lines: dict[str, Any], final: dict[str, Any] | None = None) -> Path:
        folder = tmp_path / "tasks" / task_id
        folder.mkdir(parents=True)
        if metadata is not None:
            (folder / "metadata.json").write_bytes(orjson.dumps({"task_id": task_id, **metadata}))
        if final is not None:
            (folder / "04-final-result.json").write_bytes(orjson.dumps(final))
        (folder / "03-agent-output.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
        return folder

    return make
