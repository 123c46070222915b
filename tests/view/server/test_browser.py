"""The page in real headless Chromium: live, searchable, controllable, and harmless whatever the folders say."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.query.folders import held
from tests.support.browser import browser as real_browser
from tests.view.server.served import Served
from tests.view.web.pages import DESKTOP, PHONE, TIMEOUT_MS, opened

PAYLOADS = [
    "<img src=x onerror=\"document.title='pwned'\">",
    "<script>document.title='pwned'</script>",
    '"><svg onload="document.title=\'pwned\'">',
    "javascript:document.title='pwned'//",
    "</textarea><iframe srcdoc=\"<script>top.document.title='pwned'</script>\">",
    "{{constructor.constructor('document.title=1')()}}",
]
EVIL = " ".join(PAYLOADS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's Chromium; where there is none the tests say how to get it, and in CI they fail."""
    with real_browser() as running:
        yield running


@contextmanager
def demo(root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """``agentlog demo --slow`` in a process of its own, ended at the latest with the test."""
    command = [sys.executable, "-m", "otel_agentlog", "demo", "--slow", "--root", str(root), str(Path(__file__).parent)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


def test_a_task_is_seen_live_searched_opened_paused_and_cancelled(browser: Browser, controlled: Served) -> None:
    """All that a person does with a running task, while it runs in another process."""
    with opened(browser, controlled) as page:
        running = page.locator("[data-figure=Running] .value")
        expect(running).to_have_text("0", timeout=TIMEOUT_MS)
        with demo(controlled.root) as process:
            expect(running).to_have_text("1", timeout=TIMEOUT_MS)
            expect(page.get_by_role("table", name="Active now").get_by_role("link")).to_contain_text("Review", timeout=TIMEOUT_MS)

            page.keyboard.press("/")
            page.keyboard.type("good shape")
            page.keyboard.press("Enter")
            expect(page.get_by_role("heading", name="Tasks", exact=True)).to_be_visible(timeout=TIMEOUT_MS)
            expect(page.locator("tbody tr")).to_have_count(1, timeout=TIMEOUT_MS)
            page.keyboard.press("j")
            page.keyboard.press("Enter")
            status = page.locator(".task-head .pill")
            expect(status).to_have_text("running", timeout=TIMEOUT_MS)
            _see_lines_come(page)

            page.get_by_role("button", name="Pause").focus()
            page.keyboard.press("Enter")
            expect(status).to_have_text("paused", timeout=TIMEOUT_MS)
            expect(page.get_by_role("button", name="Resume")).to_be_focused()
            page.get_by_role("button", name="Add context").click()
            page.get_by_label("What the agent should know").fill("Look at the tests first.")
            page.get_by_role("button", name="Add", exact=True).click()
            page.get_by_role("button", name="Resume").click()
            expect(status).to_have_text("running", timeout=TIMEOUT_MS)
            page.get_by_role("tab", name="Conversation").click()
            expect(page.locator(".talk")).to_contain_text("Look at the tests first.", timeout=TIMEOUT_MS)

            page.get_by_role("button", name="Cancel").click()
            page.get_by_role("button", name="Cancel the task").click()
            expect(status).to_have_text("cancelled", timeout=TIMEOUT_MS)
            process.wait(60)
        page.get_by_role("link", name="Overview", exact=True).click()
        expect(running).to_have_text("0", timeout=TIMEOUT_MS)
        expect(page.get_by_role("table", name="Recent tasks")).to_contain_text("cancelled", timeout=TIMEOUT_MS)


def _see_lines_come(page: Page) -> None:
    page.get_by_role("tab", name="Lines").click()
    count = page.locator("#tab-logs small")
    expect(count).not_to_be_empty(timeout=TIMEOUT_MS)
    before = count.inner_text()
    expect(count).not_to_have_text(before, timeout=TIMEOUT_MS)


def _hostile(root: Path) -> None:
    """A task in which every text is an attack, written past the recorder, which would have cleaned some of it."""
    folder = root / "task-evil"
    folder.mkdir(parents=True)
    stamp, ids = "2026-11-21T05:22:0{}.123456789Z", {"trace_id": EVIL, "task_id": "task-evil", "step_id": EVIL}
    details = {
        "arguments": {EVIL: EVIL},
        "result": [EVIL],
        "messages": [{"role": EVIL, "parts": [{"type": "text", "content": EVIL}]}],
    }
    details |= {"output": [{"type": "text", "content": EVIL}, {"type": "tool_call", "name": EVIL}], "model": EVIL, "number": EVIL}
    kinds = ["task", "step", "ai_request", "ai_response", "tool_call", "tool_result", "subtask", "attempt", "state", "log", EVIL]
    kinds += ["output", "thinking", "user", "system", "span", "webhook", "event"]
    lines = []
    for number, kind in enumerate(kinds):
        line = {"timestamp": stamp.format(number % 10), "type": kind, "level": "ERROR", "component": EVIL, "action": EVIL}
        line |= {"message": EVIL, "content": EVIL, "name": EVIL, "logger": EVIL, "function": EVIL, "details": details, **ids}
        line |= {"span_id": f"{number:016x}", "event_id": f"evil-{number}", "outcome": EVIL, "duration_ms": 1.5, "phase": "start"}
        line |= {"exception": {"type": EVIL, "message": EVIL, "traceback": [EVIL], "error_id": EVIL, "suggestions": [EVIL]}}
        lines.append(line)
        if kind in ("task", "step", "span"):
            lines.append({**line, "phase": "end", "event_id": f"evil-e{number}"})
    stages = [
        {"timestamp": stamp.format(1), "stage": EVIL, "status": EVIL, "provider": EVIL, "payload": {EVIL: EVIL}, EVIL: EVIL}
    ]
    error = {"type": EVIL, "message": EVIL, "error_id": EVIL, "category": EVIL, "suggestions": [EVIL]}
    metadata = {
        "task_id": "task-evil",
        "name": EVIL,
        "status": "failed",
        "assigned_agent": EVIL,
        "agent_type": EVIL,
        "model": EVIL,
    }
    metadata |= {"source": EVIL, "provider": EVIL, "tags": [EVIL], "trace_id": EVIL, "session_id": EVIL, "correlation_id": EVIL}
    metadata |= {"parent_task_id": EVIL, "created_at": stamp.format(0), "started_at": stamp.format(0)}
    (folder / "metadata.json").write_bytes(orjson.dumps(metadata))
    (folder / "01-input.json").write_bytes(orjson.dumps({"task_id": "task-evil", "input": {"message": EVIL}}))
    (folder / "02-webhook-flow.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in stages))
    (folder / "03-agent-output.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    final = {
        "success": False,
        "outcome": "failed",
        "result": EVIL,
        "error": error,
        "metrics": {"errors": 1},
        "task_id": "task-evil",
    }
    (folder / "04-final-result.json").write_bytes(orjson.dumps(final))


def test_attacks_in_every_field_stay_text(browser: Browser, tmp_path: Path) -> None:
    """Whatever a task says, the page shows it and runs none of it."""
    _hostile(tmp_path / "tasks")
    with Served(tmp_path / "tasks", tmp_path) as served, opened(browser, served) as page:
        for path in (
            "#/",
            "#/tasks",
            f"#/tasks?q={'%3Cimg src=x onerror=alert(1)%3E'}",
            "#/task/%3Cimg%20src=x%20onerror=alert(1)%3E",
            "#/session/%3Cimg%20src=x%20onerror=alert(1)%3E",
            "#/compare/task-evil/task-evil",
            "#/?window=%3Cimg%20src=x%20onerror=alert(1)%3E",
        ):
            page.goto(f"{served.url}{path}")
            page.wait_for_selector("main h1, main strong")
        page.goto(f"{served.url}#/task/task-evil")
        expect(page.locator(".task-head h1")).to_contain_text("<img src=x onerror=", timeout=TIMEOUT_MS)
        for name in ("Waterfall", "Conversation", "Lines", "Webhook flow", "Result", "Files"):
            page.get_by_role("tab", name=name).click()
            expect(page.get_by_role("tabpanel")).not_to_be_empty(timeout=TIMEOUT_MS)
            for _ in range(3):
                page.keyboard.press("j")
        page.get_by_role("button", name="View 03-agent-output.jsonl").click()
        expect(page.locator(".raw .item").first).to_contain_text("<script>", timeout=TIMEOUT_MS)

        assert "pwned" not in page.title().replace(EVIL, "")
        assert page.locator("main img, main iframe, main script, main svg[onload]").count() == 0


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server over tasks of any length that tests put there, each under a name of its own."""
    scratch = tmp_path_factory.mktemp("several")
    with Served(scratch / "tasks", scratch) as server:
        yield server


def test_a_long_task_scrolls_without_lag(browser: Browser, several: Served) -> None:
    """Of twenty thousand lines only those exist that can be seen, and the last can be reached."""
    folder = several.root / "task-long"
    folder.mkdir(parents=True)
    (folder / "metadata.json").write_bytes(orjson.dumps({"task_id": "task-long", "name": "Long", "status": "completed"}))
    (folder / "04-final-result.json").write_bytes(orjson.dumps({"outcome": "completed", "metrics": {"steps": 1}}))
    line = {"timestamp": "2026-11-21T05:22:01.123456789Z", "type": "log", "level": "INFO", "component": "agent"}
    lines = ({**line, "message": f"line {number}", "event_id": f"long-{number}"} for number in range(20_000))
    (folder / "03-agent-output.jsonl").write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    with opened(browser, several, "#/task/task-long?tab=logs") as page:
        expect(page.locator("#tab-logs small")).to_have_text("20,000", timeout=TIMEOUT_MS)
        rows = page.get_by_role("listbox", name="Lines")
        rows.focus()
        page.keyboard.press("End")
        expect(rows.get_by_text("line 19999")).to_be_visible(timeout=TIMEOUT_MS)

        assert rows.locator(".item").count() < 100
        page.get_by_label("Filter lines").fill("line 1234")
        expect(page.locator(".above-list .count")).to_have_text("11 of 20,000 lines", timeout=TIMEOUT_MS)


def _grown(folder: Path, begin: int, steps: int) -> None:
    """Write steps of three lines each."""
    stamp = "2026-11-21T05:{:02}:{:02}.123456789Z"
    with (folder / "03-agent-output.jsonl").open("ab", buffering=0) as file:
        for number in range(begin, begin + steps):
            ids = {"timestamp": stamp.format(number // 60 % 60, number % 60), "span_id": f"{number + 2:016x}", "level": "INFO"}
            step = {**ids, "type": "step", "message": f"step {number}", "parent_span_id": "1" * 16, "event_id": f"a-{number}"}
            lines = (
                {**step, "phase": "start"},
                {**ids, "type": "output", "content": f"word {number}", "event_id": f"b-{number}"},
            )
            ended = {**step, "phase": "end", "outcome": "completed", "duration_ms": 5.0}
            file.write(b"".join(orjson.dumps(line) + b"\n" for line in (*lines, ended)))


_CHANGES = """() => {
    window.changes = 0;
    const count = (each) => { window.changes += each.addedNodes.length + each.removedNodes.length; };
    new MutationObserver((found) => found.forEach(count))
        .observe(document.getElementById("tab-panel"), { childList: true, subtree: true });
}"""


@pytest.mark.parametrize("tab", ["waterfall", "logs", "conversation"])
def test_a_new_line_changes_as_little_of_a_long_page_as_of_a_short_one(browser: Browser, several: Served, tab: str) -> None:
    """About as many elements come and go when a task of 6,000 lines goes on as when one of 600 does; nothing is asked again."""
    changes = []
    for steps in (200, 2_000):
        folder = several.root / f"task-{tab}-{steps}"
        folder.mkdir(parents=True)
        metadata = {"task_id": folder.name, "name": "Long", "status": "running", "started_at": "2026-11-21T05:00:00.000000000Z"}
        (folder / "metadata.json").write_bytes(orjson.dumps(metadata))
        begun = {
            "timestamp": "2026-11-21T05:00:00.000000000Z",
            "type": "task",
            "phase": "start",
            "span_id": "1" * 16,
            "event_id": "a",
        }
        (folder / "03-agent-output.jsonl").write_bytes(orjson.dumps(begun) + b"\n")
        _grown(folder, 0, steps)
        with held(folder), opened(browser, several, f"#/task/{folder.name}?tab={tab}") as page:
            parts, lines = page.locator("#tab-waterfall small"), page.locator("#tab-logs small")
            expect(parts).to_have_text(f"{steps + 1:,}", timeout=TIMEOUT_MS)
            expect(lines).to_have_text(f"{steps * 3 + 1:,}", timeout=TIMEOUT_MS)
            if tab == "conversation":
                expect(page.get_by_text(f"word {steps - 1}", exact=True)).to_be_visible(timeout=TIMEOUT_MS)
            asked: list[str] = []
            page.on("request", lambda request, asked=asked: asked.append(request.url))
            page.evaluate(_CHANGES)
            for number in range(5):
                _grown(folder, steps + number, 1)
                expect(parts).to_have_text(f"{steps + number + 2:,}", timeout=TIMEOUT_MS)
                expect(lines).to_have_text(f"{(steps + number) * 3 + 4:,}", timeout=TIMEOUT_MS)
            changes.append(page.evaluate("window.changes"))
            assert asked == []
    # Rows are drawn again by the clock, too, as what goes on takes longer: a bound, and not the same number.
    assert changes[1] < 3 * changes[0] + 500, changes


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_is_wider_than_the_screen(browser: Browser, served: Served, scheme: str, size: dict[str, int]) -> None:
    """On a desktop and on a phone, dark and light, no page scrolls sideways and every button has a name."""
    with opened(browser, served, viewport=size, color_scheme=scheme, reduced_motion="no-preference") as page:
        for path, ready in [("#/", ".figure .value"), ("#/tasks", ".rows tbody tr"), ("#/task/task-review42", ".falls .item")]:
            page.goto(f"{served.url}{path}")
            page.wait_for_selector(ready)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        named = "e.ariaLabel || e.innerText || e.labels?.length"
        unnamed = f"[...document.querySelectorAll('button, a, input, select')].filter(e => !({named})).length"
        assert page.evaluate(unnamed) == 0
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (dark == "rgb(13, 16, 22)") is (scheme == "dark")


def test_everything_can_be_done_by_keyboard(browser: Browser, served: Served) -> None:
    """Help, places, rows, views, details and the way back, without a mouse."""
    with opened(browser, served) as page:
        page.wait_for_selector(".figure")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_contain_text("Keyboard", timeout=TIMEOUT_MS)
        page.keyboard.press("Escape")
        page.keyboard.press("g")
        page.keyboard.press("t")
        expect(page.get_by_role("heading", name="Tasks", exact=True)).to_be_visible(timeout=TIMEOUT_MS)
        page.wait_for_selector(".rows tbody tr")
        page.keyboard.press("j")
        page.keyboard.press("j")
        expect(page.locator("tr[data-chosen]")).to_have_count(1, timeout=TIMEOUT_MS)
        page.keyboard.press("Enter")
        page.wait_for_selector(".falls .item")
        page.keyboard.press("j")
        expect(page.get_by_role("complementary", name="Details")).to_be_visible(timeout=TIMEOUT_MS)
        page.keyboard.press("Escape")
        expect(page.get_by_role("complementary", name="Details")).to_be_hidden(timeout=TIMEOUT_MS)
        page.keyboard.press("3")
        expect(page.get_by_role("tab", name="Lines")).to_have_attribute("aria-selected", "true", timeout=TIMEOUT_MS)
        page.keyboard.press("Escape")
        expect(page.get_by_role("heading", name="Tasks", exact=True)).to_be_visible(timeout=TIMEOUT_MS)


def test_the_token_is_kept_out_of_sight(browser: Browser, tmp_path: Path) -> None:
    """It leaves the address at once; without it, where it is needed, the page asks for it."""
    with Served(tmp_path / "tasks", tmp_path, "--require-token") as served:
        with opened(browser, served) as page:
            page.wait_for_selector(".figure")
            assert served.token not in page.evaluate("location.href")
            expect(page.get_by_text("No tasks yet")).to_be_visible(timeout=TIMEOUT_MS)
        context = browser.new_context()
        page = context.new_page()
        page.goto(served.url)
        page.get_by_role("textbox", name="Token").fill(served.token, timeout=TIMEOUT_MS)
        page.get_by_role("button", name="Use it").click()
        page.wait_for_selector(".figure", timeout=TIMEOUT_MS)
        context.close()
