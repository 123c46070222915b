"""A task as one HTML file in a real browser: from a file, without a server, without a network, without JavaScript, on paper."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.view.server.served import Served
from tests.view.web.pages import PHONE, TIMEOUT_MS, opened, watched


@pytest.fixture(scope="module")
def exported(browser: Browser, long: Served, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that the page's own button gives."""
    with opened(browser, long, "#/task/task-small") as page:
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Export").click()
        assert waiting.value.suggested_filename == "task-small.html"
        path = tmp_path_factory.mktemp("exported") / "task-small.html"
        waiting.value.save_as(path)
    return path


def _context(browser: Browser, **options: object) -> BrowserContext:
    return browser.new_context(offline=True, **options)  # type: ignore[arg-type]


def test_the_file_says_why_and_leads_there(browser: Browser, exported: Path) -> None:
    """On a phone, from a disk: error and advice at the top, the failing part, errors only, an address of a part."""
    context = _context(browser, viewport=PHONE)
    complaints = watched(context, "file:")
    page = context.new_page()
    page.goto(exported.as_uri())
    why = page.get_by_role("region", name="Why it failed")
    expect(why).to_contain_text("disk 49 is busy", timeout=TIMEOUT_MS)
    expect(why).to_contain_text("Wait, then read it again.")
    why.get_by_role("button", name="Go to the failing part").click()
    expect(page.get_by_role("treeitem", selected=True)).to_contain_text("failed")
    expect(page).to_have_url(re.compile("part="), timeout=TIMEOUT_MS)
    page.reload()
    expect(page.get_by_role("treeitem", selected=True)).to_contain_text("Grep", timeout=TIMEOUT_MS)
    page.get_by_role("button", name="Close details").click()
    page.get_by_role("tab", name="Conversation").click()
    expect(page.get_by_role("heading", name="turn 0 ")).to_be_visible()
    for link in page.get_by_role("link").all():
        assert (link.get_attribute("href") or "").startswith(("#main", "#/task/task-small"))
    context.close()
    assert complaints == []


def test_without_javascript_it_says_what_matters(browser: Browser, exported: Path) -> None:
    """Name, how it ended, why and with what; not what the reader has not got."""
    context = _context(browser, java_script_enabled=False)
    page = context.new_page()
    page.goto(exported.as_uri())
    text = page.locator("main").inner_text()
    for word in ("Long", "task-small: failed", "OSError: disk 49 is busy", "done", "JavaScript"):
        assert word in text
    assert "agentlog ls" not in text
    assert "Loading" not in text
    context.close()


def test_on_paper_is_all_of_it(browser: Browser, exported: Path) -> None:
    """Every part, without what can only be clicked."""
    context = _context(browser)
    page = context.new_page()
    page.goto(exported.as_uri())
    page.wait_for_selector(".falls .item")
    page.emulate_media(media="print")
    expect(page.locator(".falls .item")).to_have_count(151)
    expect(page.get_by_role("searchbox", name="Search parts")).to_be_hidden()
    expect(page.get_by_text("disk 49 is busy").first).to_be_visible()
    context.close()
