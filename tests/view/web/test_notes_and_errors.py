"""Notes and scores on a task's page, and the page of the kinds of errors, in a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.tools import add_note
from tests.view.server.served import Served
from tests.view.web.pages import PHONE, TIMEOUT_MS, opened
from tests.view.web.test_axe import complaints

MARKUP = "<img src=x onerror=alert(1)> **not** markup"


@pytest.fixture(scope="module")
def controlled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that allows control."""
    scratch = tmp_path_factory.mktemp("controlled")
    with Served(scratch / "tasks", scratch, "--allow-control") as server:
        yield server


@pytest.fixture
def root(controlled: Served, stories: Path) -> Iterator[Path]:
    """The root of that server, with a task that has ended and that nobody has written to."""
    shutil.copytree(stories / "task-review42", controlled.root / "task-review42")
    yield controlled.root
    shutil.rmtree(controlled.root / "task-review42")


def _add(page: Page, **fields: str) -> None:
    for name, text in fields.items():
        page.locator(f"dialog [name={name}]").fill(text)
    page.get_by_role("button", name="Add", exact=True).click()


@pytest.mark.parametrize("size", [None, PHONE], ids=["desktop", "phone"])
def test_a_note_and_a_score_are_added_on_the_page(
    browser: Browser, controlled: Served, root: Path, size: dict[str, int] | None
) -> None:
    """They stand on the page at once, and in the folder; the name is kept for the next one; a text is never markup."""
    with opened(browser, controlled, "#/task/task-review42", **({"viewport": size} if size else {})) as page:
        page.get_by_role("button", name="Note", exact=True).click()
        assert complaints(page) == []
        _add(page, text=MARKUP, score="quality", value="0.25", by="ann")
        noted = page.get_by_role("region", name="Notes and scores")
        expect(noted.get_by_role("listitem")).to_have_count(1, timeout=TIMEOUT_MS)
        expect(noted).to_contain_text("quality")
        expect(noted).to_contain_text("0.25")
        expect(noted).to_contain_text(MARKUP)
        page.get_by_role("button", name="Note", exact=True).click()
        expect(page.locator("dialog [name=by]")).to_have_value("ann")
        _add(page, score="quality", value="good")
        expect(noted).to_contain_text("good", timeout=TIMEOUT_MS)
        # The same person gave the same score again: that one counts.
        expect(noted.get_by_role("listitem")).to_have_count(1)
    said = [line["details"] for line in TaskReader(root / "task-review42").events() if line.get("action") == "score_added"]
    assert [(each["name"], each.get("value"), each.get("label"), each["by"]) for each in said] == [
        ("quality", 0.25, None, "ann"),
        ("quality", None, "good", "ann"),
    ]


def test_a_note_of_a_part_leads_to_it(browser: Browser, controlled: Served, root: Path) -> None:
    """It is added where the part is looked at, and its line has the part's span id."""
    with opened(browser, controlled, "#/task/task-review42") as page:
        page.get_by_role("treeitem").filter(has_text="judge").click()
        page.get_by_role("button", name="Note on this").click()
        _add(page, text="it never had a verdict")
        noted = page.get_by_role("region", name="Notes and scores")
        expect(noted).to_contain_text("it never had a verdict", timeout=TIMEOUT_MS)
        page.get_by_role("tab", name=re.compile("^Result")).click()
        noted.get_by_role("button", name="step judge").click()
        expect(page.get_by_role("treeitem", selected=True)).to_contain_text("judge", timeout=TIMEOUT_MS)
    lines = list(TaskReader(root / "task-review42").events())
    judge = next(line for line in lines if line.get("name") == "judge")
    assert [line["span_id"] for line in lines if line.get("action") == "note_added"] == [judge["span_id"]]


def test_half_a_score_is_not_sent(browser: Browser, controlled: Served, root: Path) -> None:
    """The page says what is missing, and keeps what was typed."""
    with opened(browser, controlled, "#/task/task-review42") as page:
        page.get_by_role("button", name="Note", exact=True).click()
        _add(page)
        expect(page.get_by_role("alert")).to_contain_text("Write a note", timeout=TIMEOUT_MS)
        _add(page, text="kept", score="quality")
        expect(page.get_by_role("alert")).to_contain_text("has no value")
        _add(page, score="", value="1")
        expect(page.get_by_role("alert")).to_contain_text("has no name")
        expect(page.locator("dialog [name=text]")).to_have_value("kept")
    assert not [line for line in TaskReader(root / "task-review42").events() if line.get("component") == "evaluation"]


def test_what_was_noted_elsewhere_is_there_and_cannot_be_added_without_control(
    browser: Browser, root: Path, tmp_path: Path
) -> None:
    """By code or command line; a server for reading shows it and has no button."""
    add_note(root / "task-review42", "from the command line", scores={"quality": 0.75, "tone": "calm"}, by="bob")
    with Served(root, tmp_path) as server, opened(browser, server, "#/task/task-review42") as page:
        noted = page.get_by_role("region", name="Notes and scores")
        expect(noted).to_contain_text("0.75", timeout=TIMEOUT_MS)
        # One text for both scores stands there once.
        expect(noted.get_by_text("from the command line")).to_have_count(1)
        expect(noted).to_contain_text("calm")
        expect(noted).to_contain_text("bob")
        page.get_by_role("treeitem").filter(has_text="judge").click()
        expect(page.get_by_role("complementary", name="Details")).to_be_visible()
        expect(page.get_by_role("button", name=re.compile("^Note"))).to_have_count(0)


def test_the_kinds_of_errors(browser: Browser, served: Served) -> None:
    """Each with how many and where; those that a later attempt made good apart; the way from the overview and back to a task."""
    with opened(browser, served) as page:
        page.get_by_role("link", name="All kinds").click()
        errors = page.get_by_role("region", name="Errors", exact=True)
        expect(errors).to_contain_text("ValueError: boom: the verdict is missing", timeout=TIMEOUT_MS)
        handled = page.get_by_role("region", name="Made good by a later attempt")
        expect(handled).to_contain_text("disk is busy")
        expect(errors).not_to_contain_text("disk is busy")
        kind = errors.get_by_role("listitem").filter(has_text="boom")
        expect(kind).to_contain_text("1 ×")
        expect(kind).to_contain_text("validation")
        kind.get_by_role("link").click()
        expect(page.get_by_role("region", name="Why it failed")).to_contain_text("boom", timeout=TIMEOUT_MS)


def test_where_there_are_no_errors_the_page_says_so(browser: Browser, stories: Path, tmp_path: Path) -> None:
    """And of another time there may be some."""
    shutil.copytree(stories / "task-well", tmp_path / "tasks" / "task-well")
    with Served(tmp_path / "tasks", tmp_path) as server, opened(browser, server, "#/errors") as page:
        expect(page.locator("main")).to_contain_text("No errors", timeout=TIMEOUT_MS)
        page.get_by_role("link", name="all", exact=True).click()
        expect(page.locator("main")).to_contain_text("None is recorded.", timeout=TIMEOUT_MS)
