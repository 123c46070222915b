"""Tasks to compare, written as folders: what of each task counts, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from otel_agentlog.vocabulary.lines import timestamp
from otel_agentlog.vocabulary.scores import score_line

BASE_NS = 1_795_000_000_000_000_000


class Writer:
    """Writes tasks below a root, one after another."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._written = 0

    def add(
        self,
        tag: str,
        *,
        status: str = "completed",
        cost: float | None = 0.02,
        seconds: float | None = 10.0,
        tokens: tuple[int, int] = (100, 10),
        steps: tuple[str, ...] = ("plan", "act"),
        fails: str = "",
        tools: tuple[tuple[str, str], ...] = (),
        score: float | None = None,
        category: str | None = None,
    ) -> Path:
        """Write one task with a tag: its steps, of which one may fail, and tool runs (name, outcome) in the first of them."""
        self._written += 1
        created = timestamp(BASE_NS + self._written * 10**9)
        folder = self.root / f"task-{self._written:04}"
        folder.mkdir(parents=True)
        lines = [*self._lines(steps, fails, tools, category)]
        if score is not None:
            lines.append(orjson.loads(orjson.dumps({"timestamp": created, **score_line("quality", score)})))
        ended = status not in ("running", "pending")
        metrics = {"cost_usd": cost, "duration_seconds": seconds, "input_tokens": tokens[0], "output_tokens": tokens[1]}
        metrics |= {
            "ai_calls": 1,
            "tool_runs": len(tools),
            "steps": len(steps),
            "retries": 0,
            "errors": int(category is not None),
        }
        metadata = {
            "task_id": folder.name,
            "name": f"Task {self._written}",
            "status": status,
            "created_at": created,
            "tags": [tag],
        }
        files: dict[str, list[Any]] = {"metadata.json": [metadata], "03-agent-output.jsonl": lines}
        if ended:
            files["04-final-result.json"] = [{"outcome": status, "metrics": metrics, "completed_at": created}]
        for name, documents in files.items():
            (folder / name).write_bytes(b"".join(orjson.dumps(document) + b"\n" for document in documents))
        return folder

    def _lines(self, steps: Any, fails: str, tools: Any, category: str | None) -> Any:
        at = BASE_NS + self._written * 10**9
        root = f"{self._written:015x}0"

        def line(**more: Any) -> dict[str, Any]:
            nonlocal at
            at += 1000
            return {"timestamp": timestamp(at), "level": "INFO", **more}

        yield line(type="task", phase="start", span_id=root, message="t")
        for number, step in enumerate(steps):
            span = {"span_id": f"{self._written:08x}{number:07x}1", "parent_span_id": root}
            yield line(type="step", phase="start", message=step, **span)
            for other, (tool, outcome) in enumerate(tools if number == 0 else ()):
                inner = {"span_id": f"{self._written:08x}{other:07x}2", "parent_span_id": span["span_id"], "content": tool}
                yield line(type="tool_call", phase="start", message=tool, **inner)
                yield line(type="tool_result", phase="end", outcome=outcome, duration_ms=1.0, message=tool, **inner)
            failed = {"outcome": "failed" if step == fails else "completed"}
            yield line(type="step", phase="end", message=step, duration_ms=5.0, **span, **failed)
        if category is not None:
            exception = {"type": "ValueError", "message": "boom", "error_id": f"{self._written:08x}", "category": category}
            yield line(type="log", message="gave up", exception=exception) | {"level": "ERROR"}
        yield line(type="task", phase="end", span_id=root, message="t", outcome="completed")
