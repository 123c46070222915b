"""Two groups of tasks compared in a real browser: reached from the list, by filters and by values; by keyboard alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.query.compared_tasks import Writer
from tests.view.server.served import Served
from tests.view.web.pages import PHONE, TIMEOUT_MS, opened

MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Ten tasks before, ten after, which cost more and fail at a step; one tool is named after markup; for reading."""
    scratch = tmp_path_factory.mktemp("groups")
    writer = Writer(scratch / "tasks")
    for number in range(10):
        writer.add("before", cost=0.02 + number / 1000, tools=((MARKUP, "completed"),))
        writer.add("after", cost=0.03 + number / 1000, tools=((MARKUP, "failed"),), status="failed", fails="act")
    with Served(writer.root, scratch) as server:
        yield server


def test_from_the_list_by_keyboard(browser: Browser, served: Served) -> None:
    """The list's filter is side A; the other one is typed, Enter compares; figures, their intervals, where they part."""
    with opened(browser, served, "#/tasks?tag=before&status=completed") as page:
        page.get_by_role("link", name="Compare groups").press("Enter")
        expect(page.get_by_label("A, what was before")).to_have_value('status:completed tag:"before"', timeout=TIMEOUT_MS)
        other = page.get_by_label("B, what it is compared with")
        other.fill("tag:after")
        other.press("Enter")
        figures = page.get_by_role("region", name="Figures")
        cost = figures.get_by_role("row").filter(has=page.get_by_role("rowheader", name="cost", exact=True))
        expect(cost).to_contain_text("+$0.010 (+41 %)", timeout=TIMEOUT_MS)
        expect(cost.locator("strong")).to_have_count(1)
        expect(cost.locator(".whisker[data-certain=true]")).to_have_count(1)
        expect(figures.get_by_role("rowheader", name=f"tool.{MARKUP}.failures")).to_be_visible()
        steps = page.get_by_role("region", name="Steps")
        expect(steps).to_contain_text(f"They part at tool {MARKUP}: completed in 100 % of A, 0 % of B.")
        page.get_by_role("link", name="Swap").click()
        expect(page.get_by_label("A, what was before")).to_have_value("tag:after")
        page.get_by_role("heading", level=1).click()
        page.keyboard.press("Escape")
        expect(page.get_by_label("A, what was before")).to_have_value('status:completed tag:"before"')


def test_by_values_on_a_phone(browser: Browser, served: Served) -> None:
    """The kind of value is chosen, values are offered; nothing is wider than the screen; two tasks lead to all their parts."""
    with opened(browser, served, "#/compare", viewport=PHONE) as page:
        expect(page.get_by_text("Which tasks are compared?")).to_be_visible(timeout=TIMEOUT_MS)
        page.get_by_label("By").select_option("tag")
        before = page.get_by_label("A, what was before")
        before.focus()
        expect(page.locator("datalist option[value=before]")).to_have_count(1, timeout=TIMEOUT_MS)
        before.fill("before")
        page.get_by_label("B, what it is compared with").fill("after")
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_role("region", name="Sides")).to_contain_text("tag:after", timeout=TIMEOUT_MS)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.goto(f"{served.url}#/compare?a=task-0001&b=task-0002")
        expect(page.get_by_role("region", name="First difference")).to_contain_text("- outcome: completed", timeout=TIMEOUT_MS)
        page.get_by_role("link", name="All differences").click()
        expect(page.get_by_role("listbox", name="Parts of both")).to_be_visible(timeout=TIMEOUT_MS)


def test_what_cannot_be_compared_is_said(browser: Browser, served: Served) -> None:
    """A filter that cannot be read, and a side without tasks."""
    with opened(browser, served, "#/compare?a=cost%3Emuch&b=tag:after") as page:
        expect(page.get_by_role("alert").filter(has_text="These cannot be compared")).to_contain_text(
            "expected a number", timeout=TIMEOUT_MS
        )
        page.goto(f"{served.url}#/compare?a=tag:none&b=tag:after")
        expect(page.get_by_role("region", name="Sides")).to_contain_text("0 tasks", timeout=TIMEOUT_MS)
