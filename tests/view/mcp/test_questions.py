"""What the tools answer about real tasks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import otel_agentlog as agentlog
from otel_agentlog.errors import AgentlogError, FilterError
from otel_agentlog.query import report, resolve
from otel_agentlog.view.mcp.comparison import CompareArguments, compare_tasks
from otel_agentlog.view.mcp.context import McpContext, McpRequest, RefusedQuestion, RequestCancelled
from otel_agentlog.view.mcp.pages import MIN_BYTES
from otel_agentlog.view.mcp.tools import TOOLS
from tests.view.mcp.answers import ask


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that worked, and one of the same agent whose second tool failed."""
    root = tmp_path_factory.mktemp("runs") / "tasks"
    agentlog.configure(directory=root, log_directory=root.parent / "logs", console="off", capture_logging=False)
    for name, answer in (("good", "read a.py"), ("bad", "read b.py")):
        try:
            with agentlog.task("Review", task_id=name, agent="reviewer", input="please") as task, agentlog.step("plan"):
                with agentlog.ai_call("gpt-4o", provider="openai", messages=[{"role": "user", "content": "what?"}]) as call:
                    call.usage(input_tokens=100, output_tokens=10, cost_usd=0.5)
                    call.record({"choices": [{"message": {"role": "assistant", "content": answer}}]})
                with agentlog.tool("List", arguments={"path": "."}) as listing:
                    listing.result = ["a.py"]
                with agentlog.tool("Read", arguments={"path": answer[5:]}) as run:
                    if name == "bad":
                        raise FileNotFoundError("b.py")
                    run.result = "text"
                task.result = "fine"
        except FileNotFoundError:
            pass
    agentlog.shutdown()
    return root


def test_lists_and_pages(stories: Path) -> None:
    """All tasks, in pages, each once; a cursor goes with its question alone."""
    found, cursor, pages = list[str](), None, 0
    while pages == 0 or cursor:
        page = ask(stories, "list_tasks", limit=3, cursor=cursor)
        found += [task["task"] for task in page["tasks"]]
        cursor, pages = page.get("next_cursor"), pages + 1

    assert len(found) == len(set(found)) == page["matching"] > 6
    assert pages == -(-len(found) // 3)
    first = ask(stories, "list_tasks", limit=3)["next_cursor"]
    for wrong in ({"filter": "status:failed", "cursor": first}, {"cursor": "9-00000000"}, {"cursor": "x"}, {"cursor": "1" * 30}):
        with pytest.raises(RefusedQuestion, match="cursor"):
            ask(stories, "list_tasks", **wrong)


def test_an_answer_has_as_many_items_as_fit(stories: Path) -> None:
    """A page ends where the next item does not fit, and goes on there."""
    found, cursor = list[Any](), None
    while not found or cursor:
        page = ask(stories, "show_task", task="task-parallel", max_bytes=MIN_BYTES, cursor=cursor)
        found, cursor = found + page["parts"], page.get("next_cursor")
    whole = ask(stories, "show_task", task="task-parallel", max_bytes=64_000)

    assert found == whole["parts"]
    assert "next_cursor" not in whole
    assert len(found) == 22


def test_search_shows_places(stories: Path) -> None:
    """The tasks with the words, and where these stand."""
    found = ask(stories, "search", words="verdict missing")

    assert [task["task"] for task in found["tasks"]] == ["«task-review42»"]
    assert "boom: the verdict is missing" in found["tasks"][0]["places"][0]["text"]
    assert ask(stories, "search", words='"verdict" -missing: (', filter="status:failed")["matching"] == 1
    assert ask(stories, "search", words="verdict", filter="status:completed")["matching"] == 0


def test_what_may_have_been_meant_is_told(stories: Path) -> None:
    """Where a name is not known; names of the record are quoted."""
    assert ask(stories, "list_tasks", filter="agent:brian")["hints"]


def test_a_task_is_named_as_answers_name_it(stories: Path) -> None:
    """With marks, without them, by its beginning, as ``last``; nothing of a wrong name comes back."""
    for name in ("task-review42", "«task-review42»", "review", " task-rev "):
        assert ask(stories, "show_task", task=name)["about"]["task"] == "«task-review42»"
    assert ask(stories, "show_task", task="last")["about"]["task"]
    for name in ("task-", "../tasks/task-review42", str(stories / "task-review42"), "..", ".", "/", "no\0", "«»", "x" * 600):
        with pytest.raises(RefusedQuestion, match="task: expected"):
            ask(stories, "show_task", task=name)


def test_lines_of_a_part(runs: Path) -> None:
    """All that an AI call was given and gave back; the last lines; those of a type or level."""
    parts = ask(runs, "show_task", task="bad")["parts"]
    call = next(part for part in parts if part["kind"] == "ai_call")
    whole = ask(runs, "read_log", task="bad", part=call["span_id"], whole=True)["lines"]
    every = ask(runs, "read_log", task="bad")["lines"]

    assert "what?" in whole[0]["line"]
    assert "read b.py" in whole[-1]["line"]
    assert ask(runs, "read_log", task="bad", last=2)["lines"] == every[-2:]
    assert {line["type"] for line in ask(runs, "read_log", task="bad", types=["tool_result"])["lines"]} == {"tool_result"}
    assert {line["level"] for line in ask(runs, "read_log", task="bad", level="ERROR")["lines"]} == {"ERROR"}
    assert len(ask(runs, "read_log", task="bad", part="plan")["lines"]) >= 2
    failed = ask(runs, "show_task", task="bad", parts="failed")["parts"]
    assert [part["name"] for part in failed] == ["«Review»", "«plan»", "«Read»"]


def test_a_comparison_finds_where_two_runs_part(runs: Path) -> None:
    """Status, figures, tools, and the first part that differs though nothing below it does."""
    found = ask(runs, "compare_tasks", left="good", right="bad")

    assert (found["same"], found["left"]["status"], found["right"]["status"]) == (False, "completed", "failed")
    assert found["parted_at"]["kind"] == "ai_call"
    assert "+read b.py" in found["parted_at"]["answer"]
    assert found["path"] == ["«Review»", "«plan»"]
    assert {tool["name"]: tool["right_failed"] for tool in found["tools"]} == {"«List»": 0, "«Read»": 1}
    assert "«List»" not in [part["right"]["name"] for part in found["parts"]]
    assert ask(runs, "compare_tasks", left="good", right="good")["same"] is True
    assert len(ask(runs, "compare_tasks", left="good", right="good", parts="all")["parts"]) == 5


def test_an_error_is_explained(runs: Path, stories: Path) -> None:
    """By the task or by its id: what, where, what came before, who else has it."""
    by_task = ask(runs, "explain_error", task="bad")
    by_id = ask(runs, "explain_error", error_id=by_task["error_id"])

    assert (by_task["type"], by_task["message"]) == ("«FileNotFoundError»", "«b.py»")
    assert by_task["where"]["task"] == "«bad»"
    assert "FileNotFoundError" in by_task["traceback"]
    assert "test_questions.py" in by_task["raised_at"]
    assert by_task["before"][-1]["type"] == "tool_call"
    assert by_id == by_task
    kinds = ask(stories, "list_errors")
    assert [kind["handled_by_retry"] for kind in kinds["kinds"]] == sorted(kind["handled_by_retry"] for kind in kinds["kinds"])
    only = ask(stories, "list_errors", filter="id:task-review42")
    assert {kind["task"] for kind in only["kinds"]} == {"«task-review42»"}
    for wrong in ({}, {"task": "bad", "error_id": "x"}, {"task": "good"}, {"error_id": "nothing"}):
        with pytest.raises(RefusedQuestion):
            ask(runs, "explain_error", **wrong)


def test_figures(runs: Path, stories: Path) -> None:
    """In all and by group; an unknown price is none."""
    found = ask(runs, "statistics", group_by="tool", order="failures")

    assert found["total"]["cost_usd"] == 1.0
    assert [group["key"] for group in found["groups"]] == ["«Read»", "«List»"]
    assert ask(runs, "statistics", group_by="status")["groups"][0]["key"] in ("completed", "failed")
    models = {group["key"]: group for group in ask(stories, "statistics", group_by="model")["groups"]}
    assert "cost_usd" not in models["«gpt-unknown»"]
    assert models["«gpt-unknown»"]["unpriced"] == 1


def test_notes_are_written_only_where_that_is_allowed(runs: Path, tmp_path: Path) -> None:
    """They stand in the folder, by the client; what is wrong is told and nothing written."""
    root = tmp_path / "tasks"
    shutil.copytree(runs, root)
    with pytest.raises(RefusedQuestion, match="--allow-writes"):
        ask(root, "add_note", task="bad", text="x")
    span = ask(root, "show_task", task="bad")["parts"][-1]["span_id"]
    added = ask(root, "add_note", writes=True, task="bad", text="wrong file", scores={"quality": 0.25, "tone": "dry"}, on=span)
    ask(root, "add_note", writes=True, task="bad", text="see above")

    assert (added["task"], added["span_id"], added["lines"]) == ("«bad»", span, 2)
    about = ask(root, "show_task", task="bad")
    assert about["notes"][0]["text"] == "«see above»"
    assert about["notes"][0]["by"] == "«tests»"
    assert {score["name"]: score.get("value", score.get("label")) for score in about["scores"]} == {
        "«quality»": 0.25,
        "«tone»": "«dry»",
    }
    before = (root / "bad" / "03-agent-output.jsonl").read_bytes()
    for wrong in ({"text": " "}, {"text": "x", "on": "nothing"}):
        with pytest.raises(AgentlogError):
            ask(root, "add_note", writes=True, task="bad", **wrong)
    assert (root / "bad" / "03-agent-output.jsonl").read_bytes() == before
    assert len(report(resolve(root, "bad")).noted) == 3


def test_what_is_wrong_is_told(stories: Path) -> None:
    """Filters, bounds and names that are not known."""
    with pytest.raises(FilterError, match="did you mean 'status'"):
        ask(stories, "list_tasks", filter="statu:failed")
    for tool, wrong in (
        ("list_tasks", {"limit": 0}),
        ("list_tasks", {"order": "best"}),
        ("list_tasks", {"max_bytes": 10}),
        ("list_tasks", {"max_bytes": 1_000_000}),
        ("list_tasks", {"nothing": 1}),
        ("show_task", {}),
        ("statistics", {"group_by": "colour"}),
    ):
        with pytest.raises(ValidationError):
            ask(stories, tool, **wrong)


def test_a_cancelled_request_is_given_up(stories: Path) -> None:
    """Every tool that reads much looks whether it is still wanted."""
    request = McpRequest(McpContext(lambda wanted: stories))
    request.cancelled.set()
    given: dict[str, dict[str, Any]] = {
        "search": {"words": "boom"},
        "show_task": {"task": "task-review42"},
        "read_log": {"task": "task-review42"},
        "list_errors": {},
        "explain_error": {"task": "task-review42"},
    }
    for tool in TOOLS:
        if tool.name in given:
            with pytest.raises(RequestCancelled):
                tool.run(request, tool.arguments.model_validate(given[tool.name]))
    with pytest.raises(RequestCancelled):
        compare_tasks(request, CompareArguments(left="task-review42", right="task-well"))
