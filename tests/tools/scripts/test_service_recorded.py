"""What stands in the task's folder when tools run in a task, and what does not."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.tools import cancel
from tests.support.waiting import wait_until
from tests.tools.workshop import Workshop

SECRET = "correct-horse-battery-9"


def lines_of(folder: Path | None) -> list[dict[str, Any]]:
    """All lines of a task's output."""
    assert folder is not None
    return [json.loads(line) for line in (folder / "03-agent-output.jsonl").read_text().splitlines()]


def everything_in(*folders: Path) -> str:
    """All text below these folders."""
    return "".join(path.read_text(errors="replace") for folder in folders for path in folder.rglob("*") if path.is_file())


def test_an_execution_is_a_tool_run(tasks_root: Path, workshop: Workshop) -> None:
    """Start and end with arguments, ids, command, figures; between them the output, by stream."""
    workshop.script("echo", "#!/bin/sh\ncat; echo; echo careful >&2\n", specialist="reviewer", description="Echoes.")

    with agentlog.task("t") as task, agentlog.step("s"):
        result = workshop.service().execute("echo", {"path": "src"}, session_id="s-1", correlation_id="c-1")

    lines = [line for line in lines_of(task.folder) if line["type"] in ("tool_call", "tool_result", "output")]
    call, *said, ended = lines
    assert {(line["session_id"], line["correlation_id"], line["step_id"]) for line in lines} == {("s-1", "c-1", "s")}
    assert call["details"]["arguments"] == {"path": "src"}
    assert call["attributes"]["process.executable.name"] == "echo.script"
    assert call["attributes"]["agentlog.tool.specialist"] == "reviewer"
    assert {(line["details"]["stream"], line["content"]) for line in said} == {
        ("stdout", '{"path": "src"}\n'),
        ("stderr", "careful\n"),
    }
    assert {line["span_id"] for line in said} == {call["span_id"]}
    assert (ended["outcome"], ended["details"]["exit_code"]) == ("completed", 0)
    assert ended["attributes"]["process.exit.code"] == 0
    assert ended["details"]["result"]["stdout_bytes"] == result.output_bytes == 16
    assert ended["details"]["resources"] == result.resource_usage.as_resources()
    assert "resource_usage" not in ended["details"]["result"]


def test_a_failure_is_found_by_its_id(tasks_root: Path, workshop: Workshop) -> None:
    """The folder has the id, the category and the suggestions of the result."""
    workshop.script("three", "#!/bin/sh\nexit 3\n")

    with agentlog.task("t") as task:
        result = workshop.service().execute("three")

    (ended,) = [line for line in lines_of(task.folder) if line["type"] == "tool_result"]
    assert result.error_details is not None
    assert ended["outcome"] == "failed"
    assert ended["exception"]["error_id"] == result.error_id
    assert ended["exception"]["category"] == result.error_details.category.value
    assert tuple(ended["exception"]["suggestions"]) == result.error_details.suggestions


def test_each_failed_attempt_is_an_event(tasks_root: Path, workshop: Workshop) -> None:
    """With number, wait and reason, below one span."""
    count = workshop.folder / "count"
    workshop.script("flaky", f"#!/bin/sh\necho x >> {count}\n[ $(wc -l < {count}) -ge 3 ]\n", retries=3, retry_wait_s=0.01)

    with agentlog.task("t") as task:
        workshop.service().execute("flaky")

    *failed, succeeded = [line for line in lines_of(task.folder) if line["type"] == "attempt"]
    attempts = [line["details"] for line in failed]
    (ended,) = [line for line in lines_of(task.folder) if line["type"] == "tool_result"]
    assert [(a["number"], a["maximum"], a["reason"], a["category"]) for a in attempts] == [
        (1, 4, "flaky: ended with exit code 1", "EXECUTION"),
        (2, 4, "flaky: ended with exit code 1", "EXECUTION"),
    ]
    assert [5 <= a["wait_ms"] / a["number"] <= 10 for a in attempts] == [True, True]
    assert (succeeded["action"], succeeded["details"]["number"]) == ("attempt_succeeded", 3)
    assert ended["details"]["attempts"] == 3


@pytest.mark.parametrize(("code", "attempts", "why"), [(1, 2, "attempts used up"), (77, 1, "another attempt cannot help")])
def test_the_last_attempt_says_why_it_is_the_last(
    tasks_root: Path, workshop: Workshop, code: int, attempts: int, why: str
) -> None:
    """Its number is its maximum, so that nobody takes it for a retry."""
    workshop.script("broken", f"#!/bin/sh\nexit {code}\n", retries=1, retry_wait_s=0.01)

    with agentlog.task("t") as task:
        result = workshop.service().execute("broken")

    last = [line["details"] for line in lines_of(task.folder) if line["type"] == "attempt"][-1]
    assert result.attempts == attempts
    assert (last["number"], last["maximum"], last["gave_up"], last["error_id"]) == (attempts, attempts, why, result.error_id)
    assert task.folder is not None
    final = json.loads((task.folder / "04-final-result.json").read_text())
    assert final["metrics"]["retries"] == attempts - 1


def test_a_cancel_of_the_task_ends_the_wait_for_the_next_attempt(tasks_root: Path, workshop: Workshop) -> None:
    """Also without ``terminate_tools``: nothing more is started for a task that was cancelled."""
    workshop.script("busy", "#!/bin/sh\nexit 75\n", retries=3, retry_wait_s=60)

    def ask(folder: Path) -> None:
        lines = folder / "03-agent-output.jsonl"
        wait_until(lambda: "attempt_failed" in lines.read_text(), "an attempt to fail", timeout_s=60)
        cancel(folder)

    with agentlog.task("t") as task:
        assert task.folder is not None
        asking = threading.Thread(target=ask, args=(task.folder,))
        asking.start()
        result = workshop.service().execute("busy")
        asking.join()
        with pytest.raises(agentlog.TaskCancelled):
            task.checkpoint()

    assert (result.success, result.outcome, result.attempts) == (False, agentlog.Outcome.CANCELLED, 1)


def test_output_is_recorded_while_it_comes(tasks_root: Path, workshop: Workshop) -> None:
    """A line stands in the folder before the script ends: here the script waits until it is seen there."""
    go = workshop.folder / "go"
    workshop.script("slow", f"#!/bin/sh\necho half way\nwhile [ ! -e {go} ]; do sleep 0.05; done\n", timeout_s=100)
    service = workshop.service()

    with agentlog.task("t") as task:
        assert task.folder is not None
        output = task.folder / "03-agent-output.jsonl"
        run = agentlog.tool("outer").start()
        thread = threading.Thread(target=service.execute, args=("slow",))
        thread.start()
        wait_until(lambda: "half way" in output.read_text(), "the first line", timeout_s=60)
        assert '"type":"tool_result"' not in output.read_text()
        go.touch()
        thread.join()
        run.end()


def test_much_output_makes_a_bounded_folder(tasks_root: Path, workshop: Workshop) -> None:
    """Of 20 MB the folder keeps what the registry allows, in pieces, and says that it is not all."""
    workshop.script("big", "#!/bin/sh\nyes 0123456789 | head -c 20000000\n", max_output_bytes=100_000)

    with agentlog.task("t") as task:
        workshop.service().execute("big")

    assert task.folder is not None
    pieces = [line["content"] for line in lines_of(task.folder) if line["type"] == "output"]
    assert 90_000 < sum(map(len, pieces)) < 110_000
    assert max(map(len, pieces)) <= 16_384
    assert pieces[-1].endswith("[further output is not kept here]\n")
    assert (task.folder / "03-agent-output.jsonl").stat().st_size < 200_000


@pytest.mark.parametrize("by", ["stdin", "environment"])
def test_secrets_in_inputs_stay_with_the_script(
    tasks_root: Path, tmp_path: Path, workshop: Workshop, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named by the schema, by their key or by a variable: in no argv, line or log, though the script repeats all of them."""
    monkeypatch.setenv("DEPLOY_TOKEN", "variable-" + SECRET)
    workshop.script(
        "leak",
        "#!/bin/sh\n"
        "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' > $OUT\n"
        "cat; env; env >&2\n"
        "printf correct-horse-; sleep 0.4; echo battery-9\n"
        "exit 3\n",
        environment=["PATH", "DEPLOY_TOKEN", "OUT"],
        inputs_by=by,
        input_schema={
            "properties": {
                "plain": {"type": "string", "writeOnly": True},
                "deep": {"properties": {"list": {"items": {"writeOnly": True}}}},
            }
        },
    )
    monkeypatch.setenv("OUT", str(workshop.folder / "cmdlines"))
    inputs = {"plain": SECRET, "api_key": "k" + SECRET, "token": "t" + SECRET, "deep": {"list": ['quote"' + SECRET]}, "n": 1}

    with agentlog.task("t"):
        result = workshop.service().execute("leak", inputs)
    agentlog.shutdown()

    assert SECRET in result.output  # it is the caller's own
    assert SECRET not in repr(result)
    assert SECRET not in repr(result.error_details)
    recorded = everything_in(tasks_root, tmp_path / "logs")
    assert "[redacted:input]" in recorded
    assert SECRET not in recorded
    assert "battery-9" not in recorded
    assert SECRET.encode() not in (workshop.folder / "cmdlines").read_bytes()  # of every process of this machine: any encoding


def test_a_script_can_go_on_with_the_task(tasks_root: Path, workshop: Workshop) -> None:
    """It gets what continues the task: a span of its own lies below the tool run."""
    workshop.entries["child"] = {
        "argv": [
            "{python}",
            "-c",
            "import os, otel_agentlog as a\n"
            f"a.configure(directory={str(tasks_root)!r}, log_directory={str(tasks_root)!r} + '-logs', console='off')\n"
            "with a.task(resume=os.environ):\n"
            "    with a.step('inside'): pass\n"
            "a.shutdown()\n",
        ],
        "timeout_s": 100,
    }

    with agentlog.task("t") as task:
        result = workshop.service().execute("child")

    assert result.success, result.stderr
    lines = lines_of(task.folder)
    (call,) = [line for line in lines if line["type"] == "tool_call"]
    (segment,) = [line for line in lines if line["type"] == "segment" and line["phase"] == "start"]
    assert (segment["parent_span_id"], segment["trace_id"]) == (call["span_id"], call["trace_id"])
    assert [line for line in lines if line.get("message") == "inside"]


def test_a_cancel_from_outside_ends_the_script(tasks_root: Path, workshop: Workshop) -> None:
    """``cancel`` with ``terminate_tools``: the run ends as cancelled, and the task at its next checkpoint."""
    started = workshop.folder / "started"
    workshop.script("hang", f"#!/bin/sh\ntouch {started}\nsleep 600\n", timeout_s=600, grace_s=0.2, retries=3)

    def ask(folder: Path) -> None:
        wait_until(started.exists, "the script to start", timeout_s=60)
        cancel(folder, terminate_tools=True)

    with agentlog.task("t") as task:
        assert task.folder is not None
        asking = threading.Thread(target=ask, args=(task.folder,))
        asking.start()
        result = workshop.service().execute("hang")
        asking.join()
        with pytest.raises(agentlog.TaskCancelled):
            task.checkpoint()

    assert (result.success, result.outcome, result.attempts) == (False, agentlog.Outcome.CANCELLED, 1)
    (ended,) = [line for line in lines_of(task.folder) if line["type"] == "tool_result"]
    assert ended["outcome"] == "cancelled"


def test_a_folder_that_cannot_be_written_costs_the_record_only(
    tasks_root: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script runs and its result is whole, though nothing can be recorded."""
    workshop.script("echo", "#!/bin/sh\ncat\n")
    with agentlog.task("t") as task:
        assert task.folder is not None
        (task.folder / "03-agent-output.jsonl").unlink()
        os.mkdir(task.folder / "03-agent-output.jsonl")

        assert workshop.service().execute("echo", {"n": 1}).output == '{"n": 1}'
