"""What axe-core finds on every view, dark and light, on a desktop and on a phone: nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

import otel_agentlog as agentlog
from otel_agentlog.tools import add_note
from tests.view.server.served import Served
from tests.view.web.pages import DESKTOP, PHONE, opened
from tests.view.web.talks import talk

AXE = (files("axe_playwright_python") / "axe.min.js").read_text()

VIEWS = [
    ("#/", ".figure .value", ""),
    ("#/?window=7d", ".figure .value", ""),
    ("#/tasks", ".rows tbody tr", ""),
    ("#/tasks?q=nothing+of+this", ".empty strong", ""),
    ("#/tasks?q=verdict", ".rows tbody tr", ""),
    ("#/errors", ".kinds li", ""),
    ("#/errors?since=1h", ".kinds li", ""),
    ("#/session/sess-71", ".rows tbody tr", ""),
    ("#/compare/task-talk2", ".both .item", "j"),
    ("#/compare", ".empty strong", ""),
    ("#/compare?a=status%3Acompleted&b=is%3Aunsuccessful", ".ways tbody tr", ""),
    ("#/compare?a=brain&b=*&by=agent", ".ways tbody tr", ""),
    ("#/compare?a=task-review42&b=task-well", ".differs", ""),
    ("#/task/nosuch", ".empty h1", ""),
    ("#/task/task-review42", ".noted li", ""),
    ("#/task/task-review42", ".falls .item", "j"),
    ("#/task/task-review42?tab=flow", ".stage", ""),
    ("#/task/task-review42?tab=logs", ".lines .item", "j"),
    ("#/task/task-review42?tab=files", ".files li", ""),
    ("#/task/task-talk?tab=conversation", ".said", ""),
    ("#/task/task-talk?tab=result", ".md", ""),
    ("#/task/task-parallel", ".falls .item", "n"),
    ("#/task/task-paused", ".falls .item", ""),
    ("#/task/task-wide?tab=conversation", ".said", ""),
    ("#/", ".figure .value", "?"),
]


@pytest.fixture(scope="module")
def all_views(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server over one task of every kind, and one with Markdown, JSON and an image in it."""
    scratch = tmp_path_factory.mktemp("views")
    root = scratch / "tasks"
    root.mkdir()
    agentlog.configure(directory=root, log_directory=scratch / "logs", console="off", capture_logging=False)
    talk()
    agentlog.shutdown()
    for folder in sorted(stories.iterdir()):
        if folder.name.startswith("task-"):
            shutil.copytree(folder, root / folder.name)
    add_note(root / "task-review42", "seen by a person", scores={"quality": 0.75, "tone": "warm"}, by="ann")
    with Served(root, scratch, "--allow-control") as server:
        yield server


def complaints(page: Page) -> list[str]:
    """What axe says of the page as it is, one line a kind of fault."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations)")
    return [
        f"{each['id']} ({each['impact']}): {len(each['nodes'])}, such as {each['nodes'][0]['html'][:160]}"
        f" {each['nodes'][0]['failureSummary'][:300]}"
        for each in found
    ]


def _go(page: Page, address: str) -> None:
    """Follow an address, until nothing is left of what was shown before; to where one is already, by loading it anew."""
    if page.url == address:
        page.reload()
        return
    before = page.query_selector("main > *")
    page.goto(address)
    page.wait_for_function("(before) => !before?.isConnected", arg=before)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing(browser: Browser, all_views: Served, size: dict[str, int]) -> None:
    """No fault of accessibility on any view."""
    found: list[str] = []
    with opened(browser, all_views, viewport=size, color_scheme="light", reduced_motion="reduce") as page:
        for path, ready, key in VIEWS:
            _go(page, f"{all_views.url}{path}")
            page.wait_for_selector(ready)
            if key:
                page.keyboard.press(key)
            found += [f"{path} {key}: {each}" for each in complaints(page)]
            page.emulate_media(color_scheme="dark")
            found += [f"{path} {key}, dark: {each}" for each in complaints(page)]
            page.emulate_media(color_scheme="light")
    assert "\n\n".join(found) == ""
