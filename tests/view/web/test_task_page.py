"""A task's page: why it failed, and a waterfall that can be worked with, by mouse, keyboard and screen reader."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Page, expect

from tests.view.server.served import Served
from tests.view.web.pages import PHONE, TIMEOUT_MS, opened

MOST_NODES = 2_000
VIEWS = {
    "Waterfall": ".falls .item",
    "Conversation": ".said",
    "Lines": ".lines .item",
    "Result": "section",
    "Files": ".files",
}


def _rows(page: Page) -> list[str]:
    page.wait_for_selector(".falls .item")
    return page.locator(".falls .item .text").all_inner_texts()


def test_why_a_task_failed_stands_at_its_top(browser: Browser, served: Served) -> None:
    """Error, category, id, advice and traceback without a click; the button leads to the part, on a phone too."""
    with opened(browser, served, "#/task/task-review42", viewport=PHONE) as page:
        why = page.get_by_role("region", name="Why it failed")
        expect(why).to_contain_text("ValueError: boom: the verdict is missing", timeout=TIMEOUT_MS)
        expect(why).to_contain_text("validation")
        expect(why.get_by_role("button", name="Copy error id")).to_be_visible()
        expect(why.locator(".tips li").first).to_be_visible()
        assert why.bounding_box()["y"] < PHONE["height"] / 2  # type: ignore[index]
        why.get_by_role("button", name="Go to the failing part").click()
        chosen = page.get_by_role("treeitem", selected=True)
        expect(chosen).to_contain_text("judge")
        expect(chosen).to_contain_text("failed")
        expect(page.get_by_role("tree")).to_be_focused()


def test_what_ended_otherwise_says_how(browser: Browser, served: Served) -> None:
    """A time-out has its own title; what completed and what goes on has no such card."""
    with opened(browser, served, "#/task/task-slow") as page:
        expect(page.get_by_role("region", name="Why it timed out")).to_contain_text("no answer within 30 s", timeout=TIMEOUT_MS)
        page.goto(f"{served.url}#/task/task-well")
        expect(page.get_by_role("heading", name="All is well")).to_be_visible(timeout=TIMEOUT_MS)
        expect(page.locator(".failure")).to_have_count(0)


def test_a_long_waterfall_is_small_in_the_page(browser: Browser, long: Served) -> None:
    """20,000 lines are under 2,000 nodes in every view; what went well is folded, a failure is not."""
    with opened(browser, long, "#/task/task-long") as page:
        assert _rows(page)[:2] == ["Long", "turn 0"]
        expect(page.locator("#tab-logs small")).to_have_text("20,000", timeout=TIMEOUT_MS)
        for name, content in VIEWS.items():
            page.get_by_role("tab", name=re.compile(f"^{name}")).click()
            page.wait_for_selector(f"[role=tabpanel] {content}")
            assert page.evaluate("document.querySelectorAll('*').length") <= MOST_NODES, name


def test_folds_search_and_errors_only(browser: Browser, long: Served) -> None:
    """Parts fold by click and by keys; a search leaves its finds and what they stand in; so does errors only."""
    with opened(browser, long, "#/task/task-small") as page:
        assert _rows(page)[:4] == ["Long", "turn 0", "chat", "Grep path=src/part_0.py pattern=TODO"]
        page.locator(".falls .item").nth(1).locator(".fold").click()
        expect(page.locator(".falls .item").nth(2)).to_contain_text("turn 1")
        page.get_by_role("button", name="Fold all", exact=True).click()
        expect(page.locator(".falls .item").nth(25)).to_contain_text("failed")
        page.get_by_role("button", name="Unfold all").click()
        page.get_by_label("Search parts").fill("part_17")
        expect(page.locator(".falls .item")).to_have_count(3)
        expect(page.locator(".falls mark")).to_have_text(["part_17"])
        expect(page.locator(".above-list .count")).to_contain_text("1 part of 151")
        page.get_by_label("Search parts").fill("")
        page.get_by_role("button", name="Errors only").click()
        expect(page.locator(".falls .item")).to_have_count(5)
        assert [text.split()[0] for text in _rows(page)] == ["Long", "turn", "Grep", "turn", "Grep"]


def test_next_error_by_keys_and_buttons(browser: Browser, long: Served) -> None:
    """n and N go through the innermost failures, into what is folded, and around at the end."""
    with opened(browser, long, "#/task/task-long") as page:
        page.wait_for_selector(".falls .item")
        chosen = page.locator(".falls .item[aria-selected=true]")
        for key, number in [("n", 24), ("n", 49), ("N", 24), ("N", 2199)]:
            page.keyboard.press(key)
            expect(chosen).to_contain_text(f"part_{number}.py", timeout=TIMEOUT_MS)
        page.get_by_role("button", name="Next error").click()
        expect(chosen).to_contain_text("part_24.py")
        expect(page.get_by_role("complementary", name="Details")).to_contain_text("disk 24 is busy")


def test_zoom_by_keys_and_by_drag(browser: Browser, long: Served) -> None:
    """A range drawn over the lanes fills them; parts outside it are left out; 0 shows the whole again."""
    with opened(browser, long, "#/task/task-small") as page:
        page.wait_for_selector(".falls .item")
        lane = page.locator(".scale .lane").bounding_box()
        assert lane is not None
        middle = lane["y"] + lane["height"] / 2
        page.mouse.move(lane["x"] + lane["width"] * 0.5, middle)
        page.mouse.down()
        page.mouse.move(lane["x"] + lane["width"] * 0.6, middle, steps=4)
        page.mouse.up()
        expect(page.locator(".falls .item").nth(1)).to_contain_text(re.compile("turn 2[45]"))
        assert page.locator(".falls .item").count() < 30
        page.keyboard.press("-")
        expect(page.locator(".above-list .count")).not_to_contain_text(re.compile("^1[0-9] parts"))
        page.keyboard.press("0")
        expect(page.locator(".falls .item").nth(1)).to_contain_text("turn 0")


def test_the_waterfall_is_a_tree_to_screen_readers(browser: Browser, long: Served) -> None:
    """Levels, places among siblings, folded or not; a name is what is seen; arrows fold and go between levels."""
    with opened(browser, long, "#/task/task-small") as page:
        page.wait_for_selector(".falls .item")
        tree = page.get_by_role("tree", name="Parts of the task")
        expect(tree.get_by_role("treeitem").first).to_have_attribute("aria-level", "1")
        turn = tree.get_by_role("treeitem", name=re.compile("^step turn 3 "))
        for name, value in [("level", "2"), ("posinset", "4"), ("setsize", "50"), ("expanded", "true")]:
            expect(turn).to_have_attribute(f"aria-{name}", value)
        leaf = tree.get_by_role("treeitem", name=re.compile("part_24.py pattern=TODO failed 400ms"))
        tree.focus()
        for _ in range(2):
            page.keyboard.press("ArrowRight")
        expect(tree).to_have_attribute("aria-activedescendant", re.compile("falls-2"))
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        expect(page.locator("#falls-1")).to_have_attribute("aria-expanded", "false")
        page.keyboard.press("n")
        expect(leaf).to_be_visible()
        assert page.evaluate("document.getElementById(document.activeElement.getAttribute('aria-activedescendant')) !== null")


def test_the_focus_is_never_lost(browser: Browser, long: Served) -> None:
    """A page begins at its content; closing details by any way leaves one in the list."""
    with opened(browser, long, "#/tasks") as page:
        page.get_by_role("link", name="Long").first.click()
        page.wait_for_selector(".falls .item")
        assert page.evaluate("document.activeElement.id") == "main"
        page.keyboard.press("j")
        page.get_by_role("button", name="Close details").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("tree")).to_be_focused()
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Copy link").focus()
        page.keyboard.press("Escape")
        expect(page.get_by_role("tree")).to_be_focused()


def test_a_part_and_a_line_have_addresses(browser: Browser, long: Served) -> None:
    """What is open is in the address, opens again from it, and leaves it when it is closed."""
    with opened(browser, long, "#/task/task-long") as page:
        page.wait_for_selector(".falls .item")
        page.keyboard.press("n")
        expect(page.get_by_role("complementary", name="Details")).to_be_visible()
        expect(page).to_have_url(re.compile("part="), timeout=TIMEOUT_MS)
        part = page.url
        page.keyboard.press("Escape")
        expect(page).not_to_have_url(re.compile("part="), timeout=TIMEOUT_MS)
        page.goto("about:blank")
        page.goto(part)
        expect(page.get_by_role("treeitem", selected=True)).to_contain_text("part_24.py", timeout=TIMEOUT_MS)
        page.get_by_role("button", name="Its lines").click()
        expect(page.locator(".above-list .count").last).to_have_text("2 of 20,000 lines", timeout=TIMEOUT_MS)
        page.get_by_role("option").last.click()
        expect(page).to_have_url(re.compile("line="), timeout=TIMEOUT_MS)
        line = page.url
        assert "part=" not in line
        page.goto("about:blank")
        page.goto(line)
        expect(page.get_by_role("option", selected=True)).to_contain_text("disk 24 is busy", timeout=TIMEOUT_MS)
        page.get_by_role("button", name="Its part of the waterfall").click()
        expect(page.get_by_role("treeitem", selected=True)).to_contain_text("part_24.py")


def test_an_address_of_what_is_not_there_says_so(browser: Browser, long: Served) -> None:
    """The task is shown all the same."""
    with opened(browser, long, "#/task/task-small?part=nosuch") as page:
        expect(page.get_by_role("alert")).to_contain_text("no such part", timeout=TIMEOUT_MS)
        page.goto(f"{long.url}#/task/task-small?tab=logs&line=nosuch")
        expect(page.get_by_role("alert")).to_contain_text("no such line", timeout=TIMEOUT_MS)
        expect(page.get_by_role("option").first).to_be_visible()


def test_escape_leads_back_and_never_out_of_the_page(browser: Browser, long: Served) -> None:
    """To the list that one came from; to all tasks where one came from elsewhere."""
    with opened(browser, long, new=True) as page:
        page.goto("about:blank")
        page.goto(f"{long.url}#/task/task-small")
        page.wait_for_selector(".falls .item")
        page.keyboard.press("Escape")
        expect(page.get_by_role("heading", name="Tasks", exact=True)).to_be_visible(timeout=TIMEOUT_MS)
        page.goto(f"{long.url}#/tasks?order=slowest")
        page.get_by_role("link", name="Long").first.click()
        page.wait_for_selector(".falls .item")
        page.keyboard.press("Escape")
        expect(page.get_by_role("columnheader", name="Time")).to_have_attribute("aria-sort", "descending", timeout=TIMEOUT_MS)


def test_a_running_task_opens_at_what_runs(browser: Browser, long: Served) -> None:
    """Its last parts are on the screen until one scrolls away oneself."""
    with opened(browser, long, "#/task/task-going") as page:
        expect(page.get_by_text("turn 399")).to_be_visible(timeout=TIMEOUT_MS)
        follow = page.get_by_role("button", name="Follow")
        expect(follow).to_have_attribute("aria-pressed", "true")
        page.get_by_role("tree").hover()
        page.mouse.wheel(0, -4000)
        expect(follow).to_have_attribute("aria-pressed", "false")
        expect(page.get_by_text("turn 399")).to_have_count(0)
        follow.click()
        expect(page.get_by_text("turn 399")).to_be_visible()
