"""Data sets: what becomes a row in which shape, what is left out and told, the same each time."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.query import Filter, folders
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.tools.datasets.build import Choice, build, in_order, survey
from otel_agentlog.tools.datasets.examples import Example
from otel_agentlog.tools.datasets.shapes import SHAPES
from otel_agentlog.view.cli.main import main

SECRET = "sk-ant-api03-" + "Ab3" * 31
TOOLS = [{"type": "function", "function": {"name": "add", "description": "Adds", "parameters": {"type": "object"}}}]


def _answer(text: str | None, *calls: tuple[str, str, str], id_: str = "r") -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        message["tool_calls"] = [
            {"id": call, "type": "function", "function": {"name": name, "arguments": given_}} for call, name, given_ in calls
        ]
    return {"id": id_, "model": "m", "choices": [{"message": message, "finish_reason": "stop"}]}


def _sum_task(name: str, question: str, answer: str) -> None:
    with agentlog.task(name, task_id=name, input=question, tags=["t"]) as task:
        asked: list[Any] = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": question}]
        with agentlog.ai_call("m", provider="openai", messages=asked, tools=TOOLS) as call:
            call.record(_answer(None, ("c1", "add", '{"a": 2, "b": 2}'), id_=f"{name}-1"))
        with agentlog.tool("add", arguments={"a": 2, "b": 2}, call_id="c1") as run:
            run.result = {"sum": 4}
        with agentlog.ai_call("m", provider="openai", messages=[*asked, {"role": "user", "content": "and?"}]) as call:
            call.record(_answer(answer, id_=f"{name}-2"))
        task.score("quality", 0.5 if name == "a" else 1, by="judge")


@pytest.fixture
def root(tasks_root: Path) -> Path:
    """Two tasks that are equal but for a word, one that failed, one that is too long, one without content."""
    _sum_task("a", f"2 + 2? {SECRET}", "4")
    _sum_task("b", "3 + 1?", "Four")
    with pytest.raises(ValueError, match="x"), agentlog.task("failed", task_id="failed"), agentlog.ai_call("m", messages="q"):
        raise ValueError("x")
    many = [{"role": "user", "content": "y"}] * 3_000
    with agentlog.task("long", task_id="long", input={"many": [0] * 3_000}), agentlog.ai_call("m", messages=many) as call:
        call.record(_answer("z"))
    with agentlog.task("without", task_id="without", input="q"), agentlog.ai_call("m") as call:
        call.usage(input_tokens=1, output_tokens=1)
    agentlog.shutdown()
    return tasks_root


def _tasks(root: Path) -> list[TaskReader]:
    return in_order(folders(root, Filter()))


def _rows(folder: Path, name: str = "train.jsonl") -> list[Any]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def test_calls_in_the_shape_of_openai(root: Path, tmp_path: Path) -> None:
    """What the model was given, its answer, the tools; no secret."""
    build(_tasks(root), Choice("calls", "openai"), tmp_path / "d")

    first, *_ = rows = _rows(tmp_path / "d")
    assert len(rows) == 4
    assert first["messages"][0] == {"role": "system", "content": "Be brief"}
    assert first["messages"][2] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":2,"b":2}'}}],
    }
    assert first["tools"] == TOOLS
    assert SECRET not in (tmp_path / "d" / "train.jsonl").read_text()


def test_a_conversation_has_the_results_of_its_tools(root: Path, tmp_path: Path) -> None:
    """In both shapes; in that of Anthropic roles alternate."""
    for shape in ("openai", "anthropic"):
        build(_tasks(root), Choice("tasks", shape), tmp_path / shape)

    openai, anthropic = _rows(tmp_path / "openai")[1], _rows(tmp_path / "anthropic")[1]
    assert [message["role"] for message in openai["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert openai["messages"][2] == {"role": "tool", "tool_call_id": "c1", "content": '{"sum":4}'}
    assert [message["role"] for message in anthropic["messages"]] == ["user", "assistant", "user", "assistant"]
    assert anthropic["messages"][2]["content"] == [{"type": "tool_result", "tool_use_id": "c1", "content": '{"sum":4}'}]
    assert anthropic["messages"][1]["content"] == [{"type": "tool_use", "id": "c1", "name": "add", "input": {"a": 2, "b": 2}}]


def test_cases_have_scores(root: Path, tmp_path: Path) -> None:
    """And how the task ended."""
    build(_tasks(root), Choice("tasks", "cases"), tmp_path / "d")

    a, b = _rows(tmp_path / "d")
    assert (a["id"], a["output"], a["outcome"], a["tools"], a["tags"]) == ("a", "4", "completed", ["add"], ["t"])
    assert [(score["name"], score["value"], score["by"]) for score in b["scores"]] == [("quality", 1, "judge")]
    assert b["metrics"]["ai_calls"] == 2


def test_what_is_left_out_is_told_before_anything_is_written(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stderr; without --output nothing else happens."""
    assert main(["--root", str(root), "dataset"]) == 0
    told = capsys.readouterr().err
    assert "5 tasks with 4 AI calls to make rows of" in told
    for part in ("1 failed", "1 with content that was too long", "1 without content"):
        assert part in told

    assert main(["--root", str(root), "dataset", "name:nothing", "-o", str(tmp_path / "d")]) == 1
    assert not (tmp_path / "d").exists()


def test_the_same_each_time_compressed_or_not(root: Path, tmp_path: Path) -> None:
    """Bytes of every file; and a folder that is there is not touched."""
    words = ["--root", str(root), "dataset", "--test", "0.5", "-o"]
    assert main([*words, str(tmp_path / "one")]) == 0
    for file in root.glob("*/03-agent-output.jsonl"):
        file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    assert main([*words, str(tmp_path / "two")]) == 0

    for name in ("train.jsonl", "test.jsonl", "manifest.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert main([*words, str(tmp_path / "one")]) == 2
    manifest = json.loads((tmp_path / "one" / "manifest.json").read_bytes())
    assert manifest["files"][0]["sha256"] == hashlib.sha256((tmp_path / "one" / "train.jsonl").read_bytes()).hexdigest()
    assert {source["task_id"]: source["rows"] for source in manifest["sources"]} == {
        "a": 2,
        "b": 2,
        "failed": 0,
        "long": 0,
        "without": 0,
    }


def test_parts_are_divided_by_task_and_nothing_is_in_both(root: Path, tmp_path: Path) -> None:
    """Whatever the seed; rows that are equal are there once."""
    shutil.copytree(root / "a", root / "copy")
    (root / "copy" / "metadata.json").write_text(
        (root / "a" / "metadata.json").read_text().replace('"task_id":"a"', '"task_id":"copy"')
    )
    parts = set()
    for seed in map(str, range(12)):
        manifest = build(_tasks(root), Choice("calls", "openai", test=0.5, seed=seed), tmp_path / seed)
        train, test = ({json.dumps(row) for row in _rows(tmp_path / seed, f"{name}.jsonl")} for name in ("train", "test"))
        assert not train & test
        assert (len(train) + len(test), manifest["counts"]["duplicates"]) == (4, 2)
        parts.add(len(test))
    assert len(parts) > 1


def test_parquet(root: Path, tmp_path: Path) -> None:
    """The same rows as columns of texts."""
    parquet = pytest.importorskip("pyarrow.parquet")
    build(_tasks(root), Choice("calls", "openai"), tmp_path / "lines")
    build(_tasks(root), Choice("calls", "openai", to="parquet"), tmp_path / "columns")

    table = parquet.read_table(tmp_path / "columns" / "train.parquet").to_pylist()

    assert [json.loads(row["messages"]) for row in table] == [row["messages"] for row in _rows(tmp_path / "lines")]
    assert {row["task_id"] for row in table} == {"a", "b"}


def test_without_pyarrow_it_is_told(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And nothing is left behind."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    assert main(["--root", str(root), "dataset", "--to", "parquet", "-o", str(tmp_path / "d")]) == 1
    assert "pip install 'otel_agentlog[parquet]'" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith((".d", "d"))] == []


def test_a_filter_chooses(root: Path, tmp_path: Path) -> None:
    """The language of `ls`, in the manifest too."""
    words = ["score.quality>0.8", "--of", "tasks", "--tag", "t", "--status", "completed", "--min-tokens", "0"]
    assert main(["--root", str(root), "dataset", *words, "-o", str(tmp_path / "d")]) == 0

    manifest = json.loads((tmp_path / "d" / "manifest.json").read_bytes())
    assert manifest["query"] == {"filter": "score.quality>0.8", "status": ["completed"], "tag": "t"}
    assert [source["task_id"] for source in manifest["sources"]] == ["b"]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
KINDS = st.sampled_from(["text", "reasoning", "tool_call", "tool_call_response", "blob", "uri", "refusal", "what"])
PARTS = st.dictionaries(
    st.sampled_from(["content", "id", "name", "arguments", "response", "modality", "uri"]), VALUES, max_size=4
)
MESSAGES = st.lists(
    st.builds(lambda role, parts: {"role": role, "parts": parts}, st.sampled_from(["user", "assistant", "tool", "system"]),
              st.lists(st.builds(lambda kind, part: {"type": kind, **part}, KINDS, PARTS), max_size=3)),
    min_size=1,
    max_size=4,
)  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(MESSAGES, PARTS, st.sampled_from([*SHAPES]))
def test_any_parts_have_a_shape(messages: list[Any], part: dict[str, Any], shape: str) -> None:
    """Whatever they hold; the row is JSON."""
    example = Example("t", "s", [*messages, {"role": "assistant", "parts": [{"type": "text", **part}]}], [part], [part])
    json.dumps(SHAPES[shape](example, TaskReader(Path("/nonexistent/t"))))


def test_a_survey_counts_what_a_build_writes(root: Path, tmp_path: Path) -> None:
    """Of both kinds."""
    for of in ("calls", "tasks"):
        choice = Choice(of, "openai")
        found = survey(_tasks(root), choice)
        manifest = build(_tasks(root), choice, tmp_path / f"of-{of}")
        assert found.examples == manifest["counts"]["rows"] + manifest["counts"]["duplicates"]
        assert dict(found.skipped) == manifest["counts"]["left_out"]
