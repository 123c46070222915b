"""Whatever stands in a folder, the commands show it, harmless, without an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from otel_agentlog.view.cli.main import main
from tests.test_terminal_text import acts_on_a_terminal
from tests.view.stories import HOSTILE

TEXT = st.just(HOSTILE) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
TYPES = (
    "task",
    "step",
    "ai_request",
    "ai_response",
    "tool_call",
    "tool_result",
    "subtask",
    "attempt",
    "log",
    "output",
    "state",
    "process",
)
LINE_KEYS = ("message", "level", "component", "duration_ms", "content", "reason", "logger", "resource", "host")
DETAIL_KEYS = (
    *("arguments", "result", "attempts", "exit_code", "finish_reasons", "messages", "system", "output", "latency_ms", "cost_usd"),
    *("input_tokens", "number", "maximum", "reason", "wait_ms", "task_id", "name", "outcome"),
)
DETAILS = st.dictionaries(
    st.sampled_from(DETAIL_KEYS),
    VALUES | st.lists(st.fixed_dictionaries({"role": TEXT, "parts": VALUES, "type": TEXT, "content": VALUES}), max_size=2),
    max_size=6,
)
EXCEPTION = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("type", "message", "error_id", "category", "suggestions"), VALUES)
    | {"traceback": VALUES | st.lists(TEXT)},
)
LINES = st.lists(
    st.fixed_dictionaries(
        {"timestamp": st.just("2026-11-21T05:22:05.123456789Z") | VALUES},
        optional=dict.fromkeys(LINE_KEYS, VALUES)
        | {"type": st.sampled_from(TYPES) | VALUES, "phase": st.sampled_from(["start", "end"]), "details": DETAILS | VALUES}
        | {"span_id": st.sampled_from(["a" * 16, "b" * 16, "c" * 16]), "parent_span_id": st.sampled_from(["a" * 16, "b" * 16])}
        | {"outcome": st.sampled_from(["completed", "failed"]) | VALUES, "exception": EXCEPTION | VALUES, "stage": VALUES},
    ),
    max_size=8,
)
METADATA = st.dictionaries(
    st.sampled_from(
        ["name", "status", "assigned_agent", "tags", "delivery", "trace_id", "source", "started_at", "parent_task_id", "task_id"]
    ),
    VALUES,
)
FINAL = st.dictionaries(st.sampled_from(["outcome", "error", "metrics", "result"]), VALUES)


def write(folder: Path, lines: list[Any], metadata: dict[str, Any], final: dict[str, Any]) -> None:
    """Make a folder of this."""
    folder.mkdir(exist_ok=True)
    folder.joinpath("metadata.json").write_bytes(orjson.dumps(metadata))
    folder.joinpath("04-final-result.json").write_bytes(orjson.dumps(final))
    encoded = b"".join(orjson.dumps(line) + b"\n" for line in lines)
    folder.joinpath("03-agent-output.jsonl").write_bytes(encoded)
    folder.joinpath("02-webhook-flow.jsonl").write_bytes(encoded)


@given(lines=LINES, metadata=METADATA, final=FINAL)
@example(lines=[], metadata={"tags": True}, final={})
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_command_shows_any_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[Any], metadata: dict[str, Any], final: dict[str, Any]
) -> None:
    """No error, and nothing that a terminal would act on, in text and in JSON."""
    folder = tmp_path / "task-any"
    write(folder, lines, metadata, final)

    for arguments in (
        ["ls"],
        ["show", str(folder)],
        ["show", str(folder), "--full"],
        ["tail", str(folder), "--full"],
        ["validate"],
    ):
        for as_json in ([], ["--json"]):
            code = main([*arguments, *as_json, "--root", str(tmp_path), "--debug"])
            said = capsys.readouterr()
            assert code == 0 or arguments == ["validate"]
            assert set(acts_on_a_terminal(said.out)) <= {"\n"}
            if as_json:
                for line in said.out.splitlines():
                    json.loads(line)


@given(lines=LINES, metadata=METADATA, final=FINAL)
@example(lines=[], metadata={"tags": True}, final={})
@example(lines=[], metadata={"tags": [["x"], {"y": 1}, None]}, final={"error": ["x"]})
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_question_is_answered_about_any_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: list[Any], metadata: dict[str, Any], final: dict[str, Any]
) -> None:
    """Searching, counting, comparing, exporting and watching bear whatever stands there; 1 only says that nothing was found."""
    folder = tmp_path / "task-any"
    write(folder, lines, metadata, final)

    for arguments in (
        ["search", "a"],
        ["stats", "--group-by", "model"],
        ["cost"],
        ["top"],
        ["errors"],
        ["alerts", "--since", "2026-11-20"],
        ["metrics", "--report"],
        ["metrics", "--prometheus"],
        ["diff", str(folder), str(folder)],
        ["monitor", str(folder), "--once"],
        ["monitor", "--once"],
        ["export", "--format", "csv"],
        ["export", "--format", "json"],
        ["export", "--format", "otlp", "--signals", "traces,logs"],
        ["export", str(folder), "--format", "html"],
    ):
        code = main([*arguments, "--root", str(tmp_path), "--debug"])
        said = capsys.readouterr()
        assert code in (0, 1)
        assert set(acts_on_a_terminal(said.out)) <= {"\n", "\r"} or arguments[0] == "export"


def test_a_deep_nest_of_steps_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand levels are no reason to fail."""
    lines = []
    for number in range(1500):
        line = {"timestamp": "2026-11-21T05:22:05.000000000Z", "type": "step", "phase": "start", "message": f"s{number}"}
        lines.append({**line, "span_id": f"{number + 1:016x}"} | ({"parent_span_id": f"{number:016x}"} if number else {}))
    write(tmp_path / "task-deep", lines, {"status": "completed"}, {})

    for more in ([], ["--full"], ["--json"]):
        assert main(["show", "--root", str(tmp_path), "--debug", *more]) == 0
        assert "s1499" in capsys.readouterr().out


def test_a_text_of_many_megabytes_is_shown_in_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Enough to recognise it, and how much is left in the folder."""
    line = {"timestamp": "2026-11-21T05:22:05.000000000Z", "type": "output", "content": "x" * 5_000_000, "span_id": "a" * 16}
    write(tmp_path / "task-long", [{**line, "type": "task", "phase": "start", "message": "t", "content": ""}, line], {}, {})

    for arguments in (["tail", "--full"], ["show", "--full"]):
        assert main([*arguments, "--root", str(tmp_path)]) == 0
        out = capsys.readouterr().out
        assert len(out) < 100_000
        assert "more characters in the folder" in out
