"""What costs something that is not known has a plus on the page, too."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Browser, expect

import otel_agentlog
from tests.view.server.served import Served
from tests.view.web.pages import opened


def test_every_sum_has_a_plus(browser: Browser, tasks_root: Path, tmp_path: Path) -> None:
    """Overview, list, session, the head of a task and its waterfall."""
    with otel_agentlog.task("mixed", session_id="chat") as task:
        for model in ("claude-opus-4-5", "nobody-knows"):
            with otel_agentlog.ai_call(model, provider="anthropic") as call:
                call.usage(input_tokens=1000, output_tokens=0)
    otel_agentlog.flush()
    places = {
        "#/": ("[data-figure=Cost] .value", "[data-figure=Cost] .note"),
        "#/tasks": ("tbody tr",),
        "#/session/chat": (".facts, dl", ".turn .aside"),
        f"#/task/{task.task_id}": ("[data-fact=Cost]", "[role=treeitem]"),
    }
    with Served(tasks_root, tmp_path) as served, opened(browser, served) as page:
        for address, regions in places.items():
            page.goto(f"{served.url}{address}")
            for region in regions:
                expect(page.locator(region).first).to_contain_text("$0.0050+")
