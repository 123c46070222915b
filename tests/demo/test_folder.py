"""What one run of the demo leaves behind: folders in which everything that happened can be found again."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from otel_agentlog.store.validation.validate import validate
from tests.demo.running import Ran, make_project, run_demo


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def ran(home: Path) -> Ran:
    """One run over a known directory, shared by the tests here, which only read."""
    found = run_demo(home, make_project(home / "project"), "--json")
    assert found.code == 0, found.err
    return found


@pytest.fixture(scope="module")
def said(ran: Ran) -> dict[str, Any]:
    """What it printed."""
    found: dict[str, Any] = json.loads(ran.out)
    return found


def test_the_folder_is_whole(ran: Ran) -> None:
    """The five files are there, and nothing else."""
    names = {"metadata.json", "01-input.json", "02-webhook-flow.jsonl", "03-agent-output.jsonl", "04-final-result.json"}

    assert {path.name for path in ran.main.path.iterdir()} == names


def test_every_folder_is_valid(ran: Ran) -> None:
    """The validator finds no error and nothing odd in any of the three folders."""
    reports = [validate(folder.path) for folder in ran.folders]

    assert [problem for report in reports for problem in report.problems] == []
    assert len(reports) == 3


def test_it_came_in_by_a_webhook(ran: Ran) -> None:
    """The six stages are there in order, and the input has the request and the directory."""
    stages = ["received", "validation", "command_matching", "immediate_response", "task_created", "queue_push"]
    metadata, given = ran.main.metadata, ran.main.document("01-input.json")

    assert [line["stage"] for line in ran.main.stages] == stages
    assert (metadata["source"], metadata["provider"]) == ("webhook", "github")
    assert (metadata["assigned_agent"], metadata["model"], metadata["tags"]) == ("reviewer", "agentlog-offline-demo", ["demo"])
    assert given["input"] == {"message": "Is this directory in good shape?", "path": str(ran.root.parent / "project")}


def test_two_processes_wrote_one_folder(ran: Ran, said: dict[str, Any]) -> None:
    """The gateway wrote the webhook's lines, the worker the task's; both process lines name their own pid and service."""
    tags = {line["event_id"].partition("-")[0]: line for line in ran.main.of_type("process")}
    wrote = {tag: {line["type"] for line in ran.main.events if line["event_id"].startswith(f"{tag}-")} for tag in tags}
    by_service = {line["resource"]["service.name"]: (tag, line["pid"]) for tag, line in tags.items()}

    gateway, worker = by_service["demo-gateway"], by_service["demo-reviewer"]
    assert (gateway[1], worker[1]) == (said["processes"]["gateway"], said["processes"]["worker"])
    assert gateway[1] != worker[1]
    assert wrote[gateway[0]] == {"process", "webhook", "queue_push"} | (wrote[gateway[0]] & {"log"})
    assert {"queue_pickup", "task", "step", "ai_request", "tool_call"} <= wrote[worker[0]]
    assert "webhook" not in wrote[worker[0]]


def test_the_trace_is_one(ran: Ran, said: dict[str, Any]) -> None:
    """Every line of every folder has the webhook's trace id, and every span but the first a parent that is there."""
    spans = {line["span_id"]: line for folder in ran.folders for line in folder.events if line.get("phase") == "start"}
    lines = [line for folder in ran.folders for line in folder.events if line["type"] != "process"]
    roots = [line["type"] for line in spans.values() if "parent_span_id" not in line]

    assert {line["trace_id"] for line in lines} == {said["trace_id"]}
    assert roots == ["webhook"]
    assert all(line["parent_span_id"] in spans for line in spans.values() if "parent_span_id" in line)


def test_the_worker_says_how_long_the_task_waited(ran: Ran) -> None:
    """The pickup is a child of the push and knows the latency."""
    (pushed,) = [line for line in ran.main.of_type("queue_push") if line["phase"] == "start"]
    (taken,) = [line for line in ran.main.of_type("queue_pickup") if line["phase"] == "start"]

    assert (taken["parent_span_id"], taken["parent_remote"]) == (pushed["span_id"], True)
    assert taken["details"]["latency_ms"] > 0


def test_steps_nest_what_they_did(ran: Ran) -> None:
    """The steps come in order; each AI call and tool run has the step it belongs to."""
    steps = [line["message"] for line in ran.main.of_type("step") if line["phase"] == "start"]
    inside = {(line["type"], line.get("step_id")) for line in ran.main.of_type("ai_request", "tool_call")}

    assert steps == [
        *("plan", "look around", "check syntax", "summarise tests"),
        *("compare with the last review", "weigh the findings", "write the report"),
    ]
    assert {("ai_request", "plan"), ("ai_request", "look-around"), ("tool_call", "check-syntax")} <= inside
    assert ("ai_request", None) not in inside
    assert ("tool_call", None) not in inside


def test_a_failed_attempt_is_recorded_and_followed_by_a_good_one(ran: Ran) -> None:
    """The index is not there at first: an attempt failed with a real error, and the run completed."""
    attempts = ran.main.of_type("attempt")
    (result,) = [line for line in ran.main.of_type("tool_result") if line["content"] == "ReadIndex"]

    assert attempts
    assert {line["details"]["error_type"] for line in attempts} == {"FileNotFoundError"}
    assert attempts[0]["details"]["wait_ms"] == 50.0
    assert result["outcome"] == "completed"
    assert result["details"]["attempts"] == len(attempts) + 1
    assert ran.main.final["metrics"]["retries"] == len(attempts)


def test_a_real_command_ran(ran: Ran) -> None:
    """``compileall`` is a tool run with its executable and its exit code, which is 1 as a file does not compile."""
    (started,) = [line for line in ran.main.of_type("tool_call") if line["content"] == "compileall"]
    (ended,) = [line for line in ran.main.of_type("tool_result") if line["content"] == "compileall"]

    assert started["details"]["command"]["executable_name"] == "python"
    assert started["attributes"]["process.executable.name"] == "python"
    assert (ended["outcome"], ended["details"]["exit_code"]) == ("completed", 1)
    assert ended["attributes"]["process.exit.code"] == 1
    assert ended["details"]["result"]["problems"] == ["pkg/broken.py:1: SyntaxError: invalid syntax"]


def test_the_tools_the_model_asked_for_were_run(ran: Ran) -> None:
    """Every tool call in a model's answer has one tool run with its id, in that order."""
    asked = [
        (part["id"], part["name"])
        for line in ran.main.of_type("ai_response")
        for part in line["details"]["output"]
        if part["type"] == "tool_call"
    ]
    run = [(d["call_id"], line["content"]) for line in ran.main.of_type("tool_call") if "call_id" in (d := line["details"])]

    assert asked == run
    assert [name for _, name in run] == ["ListFiles", "Read", "Read", "Read", "ReadIndex"]


def test_thinking_output_and_messages_are_in_the_folder(ran: Ran) -> None:
    """Requests, thinking and output of the model are there; so is the user's request."""
    requests, responses = ran.main.of_type("ai_request"), ran.main.of_type("ai_response")

    assert [line["content"] for line in ran.main.of_type("user")] == ["Is this directory in good shape?"]
    assert len(ran.main.of_type("thinking")) == len(requests) - 1
    assert ran.main.of_type("output")[-1]["content"] == ran.main.final["result"]
    assert all(line["details"]["messages"] for line in requests)
    assert {"reasoning", "text", "tool_call"} == {part["type"] for line in responses for part in line["details"]["output"]}


def test_one_call_was_streamed(ran: Ran) -> None:
    """Its chunks are joined to the text that the agent took from them, and the first one has a time."""
    (streamed,) = [line for line in ran.main.of_type("ai_response") if line["details"].get("stream")]
    (text,) = [part["content"] for part in streamed["details"]["output"] if part["type"] == "text"]

    assert streamed["details"]["chunks"] > 10
    assert 0 <= streamed["details"]["time_to_first_chunk_ms"] <= streamed["duration_ms"]
    assert text in [line["content"] for line in ran.main.of_type("output")]


def test_the_subtask_has_a_folder_of_its_own(ran: Ran) -> None:
    """It names its parent, has its own input, result and AI call, and the parent's folder points to it."""
    subtask = ran.subtasks["Summarise the tests"]
    pointers = [line["details"]["task_id"] for line in ran.main.of_type("subtask") if line["action"] == "subtask_ended"]

    assert subtask.metadata["parent_task_id"] == ran.main.metadata["task_id"]
    assert subtask.document("01-input.json")["input"] == {"tests": 3, "test_files": 1}
    assert subtask.final["result"] == "3 tests in 1 file, 3.0 a file."
    assert (subtask.final["metrics"]["ai_calls"], subtask.final["metrics"]["tool_runs"]) == (1, 1)
    assert subtask.metadata["task_id"] in pointers


def test_a_failure_is_one_error_under_one_id(ran: Ran) -> None:
    """The error has its traceback where it arose and only its id on the way up; the task itself completed."""
    failed = ran.subtasks["Find the last review"]
    (step,) = [line for line in ran.main.of_type("step") if line.get("outcome") == "failed"]
    exceptions = [line["exception"] for line in (*failed.events, *ran.main.events) if "exception" in line]

    assert step["message"] == "compare with the last review"
    assert {exception["error_id"] for exception in exceptions} == {failed.final["error"]["error_id"]}
    assert [line["content"] for line in failed.events if "traceback" in line.get("exception", {})] == ["Read"]
    assert failed.final["error"]["type"] == "FileNotFoundError"
    assert (failed.final["success"], ran.main.final["success"]) == (False, True)
    assert ran.main.final["error"] is None


def test_what_is_logged_is_in_the_folder(ran: Ran) -> None:
    """Log lines of three components stand in the task, each with its step."""
    logs = {line["message"]: line for line in ran.main.of_type("log")}

    assert logs["directory surveyed"]["step_id"] == "look-around"
    assert logs["directory surveyed"]["details"] == {"files": 6, "whole": True}
    assert {line["component"] for line in logs.values()} == {"web", "agent", "ai_service", "file_operations"}
    assert logs["no last review, going on without"]["level"] == "WARNING"


def test_the_figures_are_the_sums_of_the_lines(ran: Ran) -> None:
    """Tokens, cost and counts in ``04`` equal what the lines of ``03`` add up to, in every folder."""
    for folder in ran.folders:
        metrics, calls = folder.final["metrics"], [line["details"] for line in folder.of_type("ai_response")]
        for key in ("input_tokens", "output_tokens", "cache_read_input_tokens", "reasoning_output_tokens"):
            assert metrics[key] == sum(call.get(key, 0) for call in calls)
        assert math.isclose(metrics["cost_usd"], sum(call["cost_usd"] for call in calls), abs_tol=1e-9)
        assert metrics["ai_calls"] == len(calls)
        assert metrics["tool_runs"] == len(folder.of_type("tool_result"))


def test_the_price_is_the_demos_own(ran: Ran) -> None:
    """Every call costs what its tokens cost at the demo's prices, and says that the price was given by the user."""
    for call in [line["details"] for folder in ran.folders for line in folder.of_type("ai_response")]:
        cached = call["cache_read_input_tokens"]
        dollars = ((call["input_tokens"] - cached) * 1.0 + cached * 0.1 + call["output_tokens"] * 5.0) / 1e6
        assert math.isclose(call["cost_usd"], dollars)
        assert call["price"] == {"source": "user"}
        assert (call["provider"], call["response_model"]) == ("offline", "agentlog-offline-demo")


def test_the_result_is_a_true_report(ran: Ran) -> None:
    """The Markdown says what is known of the directory."""
    report = ran.main.final["result"]

    assert report.startswith("# Review of `project`\n")
    assert "| files | 6 in 3 directories |" in report
    assert "| size | 4.1 KiB |" in report
    assert "| open TODOs | 2 |" in report
    assert "| tests | 3 in 1 file |" in report
    assert "| syntax problems | 1 in 4 Python files compiled |" in report
    assert "- `data.bin` (4.0 KiB)" in report
    assert "- pkg/broken.py:1: SyntaxError: invalid syntax" in report


def test_the_directory_is_left_alone(home: Path, tmp_path: Path) -> None:
    """After a run the directory holds what it held: names, bytes, times."""
    project = make_project(tmp_path / "project")
    before = _state(project)

    assert run_demo(tmp_path, project).code == 0

    assert _state(project) == before
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_recipes_of_the_format_work(ran: Ran) -> None:
    """``jq``, ``awk`` and ``grep`` answer on the folders as they stand."""
    main = ran.main
    stages = ran.shell(f"cd {main.path.name}; jq -r .stage 02-webhook-flow.jsonl | sort | uniq -c")
    cost = ran.shell(
        "find . -name 04-final-result.json | xargs cat | jq -r .metrics.cost_usd | awk '{s+=$1} END {print s}'",
    )
    failed = ran.shell("find . -name 04-final-result.json | xargs grep -l '\"success\":false'")
    tokens = ran.shell(
        f"cd {main.path.name}; jq '.metrics | {{input: .input_tokens, output: .output_tokens, "
        "total: (.input_tokens + .output_tokens)}' 04-final-result.json"
    )

    assert [line.split() for line in stages.splitlines()] == [
        ["1", stage]
        for stage in ("command_matching", "immediate_response", "queue_push", "received", "task_created", "validation")
    ]
    assert math.isclose(float(cost), sum(folder.final["metrics"]["cost_usd"] for folder in ran.folders), rel_tol=1e-4)
    assert [Path(line).parent.name for line in failed.split()] == [ran.subtasks["Find the last review"].path.name]
    metrics = main.final["metrics"]
    total = metrics["input_tokens"] + metrics["output_tokens"]
    assert json.loads(tokens) == {"input": metrics["input_tokens"], "output": metrics["output_tokens"], "total": total}


def test_the_json_says_where_all_of_it_is(ran: Ran, said: dict[str, Any]) -> None:
    """One object on stdout, nothing else: ids, folders, result, figures, receipts."""
    assert said["folder"] == str(ran.main.path)
    assert (said["status"], said["success"], said["result"]) == ("completed", True, ran.main.final["result"])
    assert said["metrics"] == ran.main.final["metrics"]
    assert said["model"] == {"provider": "offline", "name": "agentlog-offline-demo", "demo_price": True}
    assert {each["name"]: each["outcome"] for each in said["sub_tasks"]} == {
        "Summarise the tests": "completed",
        "Find the last review": "failed",
    }
    assert said["look"] is None
    worker = said["receipts"]["worker"]
    assert (worker["recorded"], worker["delivered"]) == (worker["pending"], 0)


def test_ids_of_the_webhook_follow_the_task(ran: Ran) -> None:
    """The delivery's id is on every line of the task, in both processes."""
    delivery = ran.main.metadata["correlation_id"]
    about_the_task = [line for line in ran.main.events if line["type"] not in ("process", "webhook")]

    assert {line.get("correlation_id") for line in about_the_task} == {delivery}
    assert ran.main.metadata["session_id"] == "example/reviewed#42"


def _state(top: Path) -> dict[str, tuple[int, bytes | None]]:
    found = {}
    for path in sorted(top.rglob("*")):
        found[str(path)] = (path.lstat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
    return found
