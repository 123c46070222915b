"""Two runs side by side in a real browser: the last good one is found, and what differs is shown part by part."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

import otel_agentlog as agentlog
from tests.view.server.served import Served
from tests.view.web.pages import TIMEOUT_MS, opened


def _run(task_id: str, answer: str, tool: str, *, fails: bool) -> None:
    message = {"type": "message", "role": "assistant", "model": "claude-opus-4-5", "stop_reason": "end_turn"}
    reply = {**message, "content": [{"type": "text", "text": answer}], "usage": {"input_tokens": 10, "output_tokens": 5}}
    with suppress(ValueError), agentlog.task("Nightly review", task_id=task_id, agent="reviewer") as task:
        with agentlog.step("judge"), agentlog.ai_call("claude-opus-4-5", messages=[{"role": "user", "content": "go"}]) as call:
            call.record(reply)
        with agentlog.tool(tool, arguments={"path": "a.py"}) as run:
            run.result = "ok"
        if fails:
            raise ValueError("the verdict is missing")
        task.result = answer


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A run that went well, one of another agent, and one that failed."""
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path / "logs", console="off", capture_logging=False)
    _run("task-good", "It is **good**.", "Read", fails=False)
    with agentlog.task("Other", task_id="task-other", agent="other"):
        pass
    _run("task-bad", "It is **bad**.", "Grep", fails=True)
    agentlog.shutdown()
    return tmp_path / "tasks"


def test_a_failed_run_beside_the_last_good_one(browser: Browser, runs: Path) -> None:
    """From its page; the tools differ, the answers stand beside each other, the results as a difference; the other is chosen."""
    with Served(runs, runs.parent) as served, opened(browser, served, "#/task/task-bad") as page:
        page.get_by_role("link", name="Compare").click()
        figures = page.get_by_role("region", name="Figures")
        expect(figures.get_by_role("columnheader").nth(1)).to_contain_text("completed", timeout=TIMEOUT_MS)
        expect(figures.get_by_role("columnheader").nth(2)).to_contain_text("ValueError: the verdict is missing")
        expect(page.get_by_label("With")).to_have_value("task-good")
        parts = page.get_by_role("listbox", name="Parts of both")
        expect(parts.get_by_role("option").filter(has_text="Read")).to_contain_text("only left")
        expect(parts.get_by_role("option").filter(has_text="Grep")).to_contain_text("only right")
        page.get_by_role("button", name="Differences only").click()
        parts.get_by_role("option").filter(has_text="claude-opus-4-5").first.click()
        details = page.get_by_role("complementary", name="Details")
        expect(details.get_by_role("region", name="Other run").locator("strong")).to_have_text("good")
        expect(details.get_by_role("region", name="This run").locator("strong")).to_have_text("bad")
        expect(page.get_by_role("region", name="Result, what differs").locator(".removed").last).to_contain_text("good")
        page.keyboard.press("Escape")
        expect(details).to_be_hidden()


def test_what_cannot_be_compared_is_said(browser: Browser, runs: Path) -> None:
    """A run without another one of its agent, and one that is not there."""
    with Served(runs, runs.parent) as served, opened(browser, served, "#/compare/task-other") as page:
        expect(page.get_by_text("There is no other run")).to_be_visible(timeout=TIMEOUT_MS)
        page.goto(f"{served.url}#/compare/task-good/task-nosuch")
        expect(page.get_by_text("These cannot be compared")).to_be_visible(timeout=TIMEOUT_MS)
