"""Overview, list and session in a real browser: everything leads somewhere, nothing jumps."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.view.server.served import Served
from tests.view.web.pages import DESKTOP, PHONE, TIMEOUT_MS, opened

MOST_SHIFT = 0.05

_SHIFTS = """() => {
    window.shifted = 0;
    const add = (entry) => { window.shifted += entry.hadRecentInput ? 0 : entry.value; };
    new PerformanceObserver((list) => list.getEntries().forEach(add)).observe({ type: "layout-shift", buffered: true });
}"""


def _addresses(page: Page, region: str) -> list[str]:
    links = page.locator(region).get_by_role("link").all()
    return [link.get_attribute("href") or "" for link in links]


def test_everything_on_the_overview_leads_to_its_tasks(browser: Browser, served: Served) -> None:
    """Figures, bars, categories, agents, tools and models are links; a list that one leads to has as many tasks as it says."""
    with opened(browser, served) as page:
        page.wait_for_selector(".figure .value")
        for region in (".figures", ".errors-by-category", "section[aria-label=Agents]", "section[aria-label=Tools]", ".bars"):
            found = _addresses(page, region)
            assert found, region
            assert all(address.startswith("#/tasks?") for address in found), region
        page.get_by_role("link", name="brain").click()
        expect(page.locator("tbody tr")).to_have_count(2, timeout=TIMEOUT_MS)
        page.go_back()
        page.locator(".bars a").first.click()
        expect(page.get_by_role("status").filter(has_text="of")).to_be_visible(timeout=TIMEOUT_MS)
        expect(page).to_have_url(re.compile("since=.*until=|until=.*since="), timeout=TIMEOUT_MS)


def test_the_time_of_the_overview_is_chosen(browser: Browser, served: Served) -> None:
    """It is in the address, holds for every figure, and goes along to the lists."""
    with opened(browser, served) as page:
        page.get_by_role("link", name="7 days").click()
        page.wait_for_selector(".figure .value")
        expect(page).to_have_url(re.compile(r"#/\?window=7d$"), timeout=TIMEOUT_MS)
        expect(page.get_by_role("region", name="Agents")).to_contain_text("last 7 days")
        assert "since=7d" in (page.locator("[data-figure=Cost] a").get_attribute("href") or "")
        page.reload()
        expect(page.get_by_role("link", name="7 days")).to_have_attribute("aria-current", "true", timeout=TIMEOUT_MS)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_jumps_while_the_overview_comes(browser: Browser, served: Served, size: dict[str, int]) -> None:
    """The sum of all layout shifts until the figures stand is at most 0.05, where 0.1 counts as good."""
    with opened(browser, served, new=True, viewport=size, reduced_motion="no-preference") as page:
        page.add_init_script(f"({_SHIFTS})()")
        page.goto("about:blank")
        page.goto(served.url)
        page.wait_for_selector(".rows tbody tr")
        page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert page.evaluate("window.shifted") <= MOST_SHIFT


def test_columns_sort_and_the_address_keeps_it(browser: Browser, served: Served) -> None:
    """A click on a head sorts by it, a second one the other way round; screen readers are told which."""
    with opened(browser, served, "#/tasks") as page:
        page.wait_for_selector("tbody tr")
        for sort in ("descending", "ascending"):
            page.get_by_role("columnheader", name="Time").get_by_role("button").click()
            expect(page.get_by_role("columnheader", name="Time")).to_have_attribute("aria-sort", sort, timeout=TIMEOUT_MS)
        expect(page).to_have_url(re.compile("order=fastest"), timeout=TIMEOUT_MS)
        page.get_by_role("columnheader", name="Errors").get_by_role("button").click()
        expect(page.locator("tbody tr").first.locator(".c-errors")).not_to_have_text("", timeout=TIMEOUT_MS)


def test_sub_tasks_stand_below_their_task(browser: Browser, served: Served) -> None:
    """Under it where both are listed; alone with the way to it."""
    with opened(browser, served, "#/tasks") as page:
        page.wait_for_selector("tbody tr")
        names = page.locator("tbody .title").all_inner_texts()
        assert names[names.index("Review PR 42") + 1] == "Check style"
        page.goto(f"{served.url}#/tasks?q=lint")
        expect(page.locator("tbody tr")).to_have_count(1, timeout=TIMEOUT_MS)
        page.get_by_role("link", name="task-review42").click()
        expect(page.get_by_role("heading", name="Review PR 42")).to_be_visible(timeout=TIMEOUT_MS)


def test_a_search_shows_where_the_words_stand(browser: Browser, served: Served) -> None:
    """Each task has the text around, with the words marked; on a phone, too, and there with agent, tokens, cost and errors."""
    with opened(browser, served, "#/tasks?q=verdict", viewport=PHONE) as page:
        expect(page.locator("tbody mark").first).to_have_text(re.compile("verdict", re.IGNORECASE), timeout=TIMEOUT_MS)
        expect(page.locator("tbody tr").first).to_contain_text("brain · 2.0k tokens · $0.023 · 1 error")


def test_filters_offer_values_that_exist(browser: Browser, served: Served) -> None:
    """Agents that tasks have are offered to somebody who comes to the field."""
    with opened(browser, served, "#/tasks") as page:
        page.get_by_text("More filters").click()
        page.get_by_role("combobox", name="Agent").focus()
        expect(page.locator("datalist option[value=brain]")).to_have_count(1, timeout=TIMEOUT_MS)


def test_the_search_field_offers_how_a_filter_goes_on(browser: Browser, served: Served) -> None:
    """What comes after the beginning that is typed, by the answers of ``/api/filter``."""
    options = [{"text": "brain", "tasks": 2, "summary": ""}]
    with opened(browser, served, "#/tasks") as page:
        page.route("**/api/filter?**", lambda route: route.fulfill(json={"fields": [], "start": 6, "options": options}))
        page.wait_for_selector("tbody tr")  # until then the page may still write the address's filter into the field
        page.get_by_role("combobox", name="Search tasks").fill("agent:b")
        expect(page.locator("#filter-goes-on option")).to_have_attribute("value", "agent:brain", timeout=TIMEOUT_MS)


def test_the_lamp_of_the_list_says_how_it_stands(browser: Browser, served: Served) -> None:
    """Opened directly it is not connecting for ever."""
    with opened(browser, served, "#/tasks") as page:
        expect(page.locator("#live")).to_have_text("up to date", timeout=TIMEOUT_MS)


def test_a_printed_address_works_in_a_tab_that_is_open(browser: Browser, served: Served) -> None:
    """The token is taken out of it, and the page goes on."""
    with opened(browser, served, "#/tasks") as page:
        page.wait_for_selector("tbody tr")
        page.evaluate("sessionStorage.clear()")
        page.evaluate(f"location.hash = '#token={served.token}'")
        page.wait_for_selector(".figure .value")
        assert served.token not in page.evaluate("location.href")
        assert page.evaluate("sessionStorage.getItem('agentlog-token')") == served.token
