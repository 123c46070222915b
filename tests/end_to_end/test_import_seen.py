"""``agentlog import --watch`` beside the page and the monitor: both show the agent that is at work now, and offer it nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.support.browser import browser
from tests.support.tmux import Terminal
from tests.support.waiting import wait_until
from tests.tools.imports.samples import Claude, lines, said, uses
from tests.view.server.served import Served
from tests.view.web.pages import opened

ROWS = lines(
    Claude()
    .says("Mend the parser")
    .answers("a", uses("t", command="pytest -q"), usage=(100, 0, 0, 20))
    .result("t", "2 failed")
    .answers("b", said("The parser is mended."))
    .rows
).splitlines(keepends=True)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Path]:
    """The transcript of an agent that has just begun, below the root ``tasks`` once it is watched."""
    watched = tmp_path / "projects"
    watched.mkdir()
    file = watched / "s.jsonl"
    file.write_text(ROWS[0])
    command = [sys.executable, "-m", "otel_agentlog", "--root", str(tmp_path / "tasks"), "import", "--watch", "--interval", "0.1"]
    process = subprocess.Popen([*command, str(watched)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: (tmp_path / "tasks" / "claude-s-1").exists(), "the task", timeout_s=60)
        yield file
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait(60)


def _goes_on(file: Path, row: int) -> None:
    with file.open("a") as out:
        out.write(ROWS[row])


@pytest.mark.timeout(300)
def test_the_page_shows_the_agent_at_work(session: Path, tmp_path: Path) -> None:
    """Its tool while it runs, then its answer; no button, as it takes no requests."""
    with browser() as running, Served(tmp_path / "tasks", tmp_path, "--allow-control") as served, opened(running, served) as page:
        active = page.get_by_role("table", name="Active now").get_by_role("link", name="Mend the parser")
        expect(active).to_be_visible()
        active.click()
        expect(page.locator(".task-head .pill")).to_have_text("running")
        expect(page.get_by_role("button", name="Export")).to_be_visible()
        expect(page.get_by_role("button", name="Cancel")).to_have_count(0)

        page.get_by_role("tab", name="Conversation").click()
        _goes_on(session, 1)
        expect(page.locator(".talk")).to_contain_text("pytest -q")
        _goes_on(session, 2)
        expect(page.locator(".talk")).to_contain_text("2 failed")
        _goes_on(session, 3)
        expect(page.locator(".talk")).to_contain_text("The parser is mended.")
        expect(page.locator("[data-fact=Tokens]")).to_contain_text("120")


@pytest.mark.timeout(300)
def test_the_monitor_shows_the_agent_at_work(session: Path, tmp_path: Path) -> None:
    """The same in a terminal; what it is asked is refused, and why."""
    terminal = Terminal(
        [sys.executable, "-m", "otel_agentlog", "--root", str(tmp_path / "tasks"), "monitor", "claude-s-1"], 120, 40
    )
    try:
        terminal.wait_for(lambda screen: "Mend the parser" in screen and "running" in screen.splitlines()[0], "the monitor")
        _goes_on(session, 1)
        terminal.wait_for(lambda screen: "Bash" in screen, "the tool that runs")
        terminal.type("cancel")
        terminal.wait_for(lambda screen: "takes no requests" in screen, "the refusal")
        _goes_on(session, 2)
        _goes_on(session, 3)
        terminal.wait_for(lambda screen: "The parser is mended." in screen, "the answer")
        assert "running" in terminal.screen().splitlines()[0]
    finally:
        terminal.close()
