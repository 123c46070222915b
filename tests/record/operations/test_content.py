"""Texts in chunks: numbered, each in its own span, and recorded whole when that ends."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import otel_agentlog as agentlog
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.vocabulary.chunks import joined

SECRET = "sk-ant-api03-" + "Ab3" * 31


def _configure(tmp_path: Path) -> Path:
    root = tmp_path / "tasks"
    agentlog.configure(directory=root, log_directory=tmp_path / "logs", console="off", capture_logging=False)
    return root


def _texts(root: Path, kind: str = "output") -> list[tuple[str, list[int]]]:
    """Each text, and the numbers of its chunks."""
    task = TaskReader(next(root.glob("*/metadata.json")).parent)
    lines = [line for line in task.events() if line["type"] == kind]
    found = []
    for each in joined(task.events()):
        if each["type"] == kind:
            of_it = [line.get("chunk") for line in lines if line["span_id"] == each["span_id"]]
            found.append((each["content"], of_it))
    return found


def test_concurrent_calls_have_texts_of_their_own(tmp_path: Path) -> None:
    """Two calls that stream at the same time: no word of one is in the other's text, not even what was held back."""
    root = _configure(tmp_path)

    async def call(task: Any, name: str) -> None:
        with agentlog.ai_call(f"m-{name}"):
            for number in range(5):
                task.output(f"{name}{number} ", stream=True)
                await asyncio.sleep(0)
            task.output(f"last{name}", stream=True)

    async def both() -> None:
        with agentlog.task("two") as task:
            await asyncio.gather(call(task, "a"), call(task, "b"))

    asyncio.run(both())
    agentlog.shutdown()
    assert sorted(text for text, _ in _texts(root)) == ["a0 a1 a2 a3 a4 lasta", "b0 b1 b2 b3 b4 lastb"]
    assert all(numbers == list(range(1, len(numbers) + 1)) for _, numbers in _texts(root))


def test_what_was_held_back_stands_before_the_end_of_its_call(tmp_path: Path) -> None:
    """The last word of a call's text is not left for the next call, or for the end of the task."""
    root = _configure(tmp_path)
    with agentlog.task("t") as task:
        for word in ("first", "second"):
            with agentlog.ai_call("m"), agentlog.step("inner"):
                task.thinking("think", stream=True)
                task.output(word, stream=True)
    agentlog.shutdown()
    lines = list(TaskReader(next(root.glob("*/metadata.json")).parent).events())
    kinds = [(line["type"], line.get("content")) for line in lines if line["type"] in ("output", "thinking") or "outcome" in line]
    assert kinds[:4] == [("thinking", "think"), ("output", "first"), ("step", None), ("ai_response", None)]
    assert kinds[4:8] == [("thinking", "think"), ("output", "second"), ("step", None), ("ai_response", None)]


def test_a_whole_text_begins_anew(tmp_path: Path) -> None:
    """A stream ends where a whole text of its kind comes; one of another kind does not end it."""
    root = _configure(tmp_path)
    with agentlog.task("t") as task:
        task.output("a ", stream=True)
        task.thinking("hm")
        task.output("b", stream=True)
        task.output("whole")
        task.output("c", stream=True)
    agentlog.shutdown()
    assert [text for text, _ in _texts(root)] == ["a b", "whole", "c"]


def test_a_secret_cut_into_chunks_stays_one(tmp_path: Path) -> None:
    """In two streams at once, cut anywhere: neither is in the folder."""
    root = _configure(tmp_path)
    with agentlog.task("t") as task:
        for at in range(0, len(SECRET), 3):
            with agentlog.step("s"):
                pass
            task.output(SECRET[at : at + 3], stream=True)
            task.thinking(SECRET[at : at + 3], stream=True)
    agentlog.shutdown()
    assert SECRET[:20] not in "".join(path.read_text() for path in root.glob("*/*.jsonl"))
    assert [text for text, _ in _texts(root)] == ["[redacted:anthropic-key]"]
