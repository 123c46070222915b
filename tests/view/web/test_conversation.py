"""What was said, in a real browser: a conversation of any length, Markdown, JSON, code and images, each to be copied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Browser, Page, expect

import otel_agentlog as agentlog
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.vocabulary.chunks import Joiner
from tests.query.folders import held
from tests.view.server.served import Served
from tests.view.web.long_tasks import grow, turn, write_long
from tests.view.web.pages import TIMEOUT_MS, opened
from tests.view.web.talks import ANSWER, talk
from tests.vocabulary.test_chunks import ANY as ANY_LINE

CONVERSATION = "#/task/{}?tab=conversation"


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server over a conversation with everything that models say; tests may add tasks of their own."""
    scratch = tmp_path_factory.mktemp("talk")
    agentlog.configure(directory=scratch / "tasks", log_directory=scratch / "logs", console="off", capture_logging=False)
    talk()
    agentlog.shutdown()
    with Served(scratch / "tasks", scratch) as server:
        yield server


_IS_AT_END = """(() => {
    const view = document.querySelector(".cards");
    return view.scrollTop + view.clientHeight >= view.scrollHeight - 60;
})()"""
_STEPS = "[...document.querySelectorAll('.talk .step')].map((e) => [e.textContent, e.getBoundingClientRect().top])"
_TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(scope="module")
def long_talk(browser: Browser, long: Served) -> Iterator[Page]:
    """A page with a conversation of 20,000 lines, which begins at its beginning; tests leave it there."""
    with opened(browser, long, CONVERSATION.format("task-long")) as page:
        expect(page.locator("#tab-logs small")).to_have_text("20,000", timeout=TIMEOUT_MS)
        expect(page.get_by_role("heading", name="turn 0 ")).to_be_visible()
        yield page


def test_a_long_conversation_scrolls_from_end_to_end(long_talk: Page) -> None:
    """It begins at its beginning, one click leads to its end, and only what is near is in the page."""
    page = long_talk
    expect(page.get_by_role("heading", name="turn 0 ")).to_be_visible()
    page.get_by_role("button", name="To the latest").click()
    expect(page.get_by_role("heading", name="turn 2221 ")).to_be_visible()
    assert page.locator(".said").count() < 60
    expect(page.get_by_role("button", name="To the latest")).to_be_hidden()
    page.evaluate(_TWO_FRAMES)  # after which it goes to the end once more
    page.keyboard.press("Home")
    expect(page.get_by_role("heading", name="turn 0 ")).to_be_visible()


def test_what_is_read_does_not_move(long_talk: Page) -> None:
    """Cards whose height turns out to be another one than was guessed do not push away what is on the screen."""
    page = long_talk
    page.evaluate("document.querySelector('.cards').scrollTop = 300000")
    page.wait_for_selector(".talk .step")
    for _ in range(3):
        page.evaluate(_TWO_FRAMES)
    before = page.evaluate(_STEPS)
    page.evaluate(_TWO_FRAMES)
    after = page.evaluate(_STEPS)
    page.evaluate("document.querySelector('.cards').scrollTop = 0")
    assert before == after


def test_a_running_conversation_follows_until_one_scrolls(browser: Browser, talking: Served) -> None:
    """It opens at its end and goes on with it; who reads further up stays there, and has the way back."""
    folder = talking.root / "task-going"
    write_long(folder, 100, status="running")
    with held(folder):
        with opened(browser, talking, CONVERSATION.format("task-going")) as page:
            expect(page.get_by_role("heading", name="turn 99 ")).to_be_visible(timeout=TIMEOUT_MS)
            grow(folder, list(turn(100)))
            expect(page.get_by_role("heading", name="turn 100 ")).to_be_visible(timeout=TIMEOUT_MS)
            page.get_by_role("log").hover()
            page.mouse.wheel(0, -3000)
            expect(page.get_by_role("button", name="To the latest")).to_be_visible()
            grow(folder, list(turn(101)))
            expect(page.locator("#tab-logs small")).to_have_text("919", timeout=TIMEOUT_MS)
            assert not page.evaluate(_IS_AT_END)
            page.get_by_role("button", name="To the latest").click()
            expect(page.get_by_role("heading", name="turn 101 ")).to_be_visible()


def test_what_models_say_is_rendered(browser: Browser, talking: Served) -> None:
    """Headings, emphasis, tables, lists, code and links; the picture of the question; failed attempts in their run."""
    with opened(browser, talking, CONVERSATION.format("task-talk")) as page:
        answer = page.locator(".said.ai")
        for selector, text in [
            (".md-heading", "Verdict"),
            ("strong", "mostly fine"),
            ("p code", "cache.py"),
            ("th >> nth=0", "file"),
            ("td em", "nothing"),
            ("ol > li > ul > li", "and that"),
            ("pre .comment", "# not there: compute"),
            ("blockquote", "Quoted words."),
        ]:
            expect(answer.locator(f".md {selector}").first).to_contain_text(text, timeout=TIMEOUT_MS)
        link = answer.get_by_role("link", name="the docs")
        assert (link.get_attribute("href"), link.get_attribute("rel")) == ("https://example.org/x", "noreferrer noopener")
        page.get_by_text("Asked with 1 message").click()
        picture = page.get_by_role("img", name="image, image/png")
        expect(picture).to_be_visible()
        assert picture.evaluate("(image) => image.naturalWidth") == 64
        run = page.locator(".said.tool")
        expect(run.locator(".attempt")).to_contain_text("the database is busy")
        # What the answer said is not said again by the output that repeats it.
        expect(page.locator(".md-heading")).to_have_count(1)


def test_a_part_has_what_was_asked_and_answered(browser: Browser, talking: Served) -> None:
    """Beside the waterfall stand the question with its picture, the answer as Markdown, the result of a tool as JSON."""
    with opened(browser, talking, "#/task/task-talk") as page:
        expect(page.locator("#tab-logs small")).to_have_text("11", timeout=TIMEOUT_MS)
        page.get_by_role("treeitem").filter(has_text="claude").click()
        details = page.get_by_role("complementary", name="Details")
        expect(details.get_by_role("img", name="image, image/png")).to_be_visible()
        expect(details.locator(".md-heading")).to_have_text("Verdict")
        page.get_by_role("treeitem").filter(has_text="Query").click()
        expect(details.locator("summary").filter(has_text="rows")).to_contain_text("150")


def test_json_folds_and_everything_can_be_copied(browser: Browser, talking: Served) -> None:
    """What is folded does not exist until it is opened; a copy is the whole value."""
    with opened(browser, talking, CONVERSATION.format("task-talk"), permissions=["clipboard-read", "clipboard-write"]) as page:
        run = page.locator(".said.tool")
        expect(run.locator(".json").first).to_contain_text('sql: "select 1"', timeout=TIMEOUT_MS)
        run.get_by_text("Result,").click()
        rows = run.locator(".json").last
        expect(rows.locator("summary").filter(has_text="rows")).to_contain_text("150")
        assert rows.locator(".member").count() < 5
        rows.locator("summary").filter(has_text="rows").click()
        rows.get_by_role("button", name="50 more").click()
        expect(rows.locator(".members .members > .member")).to_have_count(150)
        run.locator(".copied-block").last.hover()
        run.get_by_role("button", name="Copy this").last.click()
        expect(page.locator("#said")).to_have_text("copied")
        copied = orjson.loads(page.evaluate("navigator.clipboard.readText()"))
        assert len(copied["rows"]) == 150
        page.evaluate("document.getElementById('said').textContent = ''")
        page.get_by_role("tab", name="Result").click()
        page.locator(".part > .copied-block > .copy-all").first.click()
        expect(page.locator("#said")).to_have_text("copied")
        assert page.evaluate("navigator.clipboard.readText()") == ANSWER


_PIECES = st.sampled_from(
    [
        *"*_`~[]()|#>-+!\\\n \t",
        *(
            "**",
            "```",
            "\n\n",
            "\n- ",
            "\n1. ",
            "\n| a | b |\n|---|---|\n",
            "](",
            "    ",
            "> ",
            "\n> > ",
            "  \n",
            "](https://x.org)",
        ),
        *("javascript:alert(1)", "<b>", "<script>", "https://x.org/", "&lt;", "word", "ä", "\u202e", "data:text/html,x"),
    ]
)


@pytest.fixture(scope="module")
def reading(browser: Browser, talking: Served) -> Iterator[Page]:
    """A page that has the reader of Markdown at hand."""
    with opened(browser, talking, "#/tasks") as page:
        page.wait_for_selector("tbody tr")
        yield page


_READ = """async (text) => {
    const { markdown } = await import("./web/values/markdown.js");
    const begun = performance.now();
    const found = markdown(text);
    const elements = [...found.querySelectorAll("*")];
    return {
        words: found.textContent.match(/[\\p{L}\\p{N}]+/gu) ?? [],
        tags: [...new Set(elements.map((each) => each.tagName.toLowerCase()))],
        links: elements.filter((each) => each.tagName === "A").map((each) => each.protocol),
        handlers: elements.filter((each) => [...each.attributes].some((one) => one.name.startsWith("on"))).length,
        ms: performance.now() - begun,
    };
}"""

_TAGS = {
    *("p", "strong", "em", "s", "code", "pre", "a", "ul", "ol", "li", "blockquote", "hr"),
    *("table", "thead", "tbody", "tr", "th", "td", "div", "span", "button", "svg", "path"),
}


@settings(max_examples=150, deadline=None)
@given(text=st.lists(_PIECES | st.text(max_size=5), max_size=40).map("".join))
def test_any_text_is_read_as_markdown_and_stays_text(reading: Page, text: str) -> None:
    """No error, no element or link but those that Markdown has, and no word of the text is lost but in links' targets."""
    found = reading.evaluate(_READ, text)
    assert set(found["tags"]) <= _TAGS
    assert set(found["links"]) <= {"https:", "http:", "mailto:"}
    assert found["handlers"] == 0
    if "word" in text and "](" not in text and "```" not in text and "~~~" not in text:
        assert sum(word.count("word") for word in found["words"]) == text.count("word")


@pytest.mark.parametrize("piece", ["**a ", "[a](", "`", "_a ", "~~a ", "> ", "- ", "| a ", "[", "* "])
def test_long_texts_of_unclosed_marks_are_read_at_once(reading: Page, piece: str) -> None:
    """40,000 characters of it are read in well under the hundredfold time of 4,000."""
    few, many = (min(reading.evaluate(_READ, (piece * n)[:n])["ms"] for _ in range(3)) for n in (4_000, 40_000))
    assert many < 40 * max(few, 20), (few, many)


# Chunks -------------------------------------------------------------------------------------------------------------------------

_JOIN = """async (lines) => {
    const { Joiner } = await import("./web/task/chunks.js");
    const joiner = new Joiner();
    return [...new Set(lines.map((line) => joiner.add(line)))];
}"""


@settings(max_examples=150, deadline=None)
@given(lines=st.lists(ANY_LINE, max_size=12))
def test_chunks_are_joined_as_everywhere_else(reading: Page, lines: list[dict[str, object]]) -> None:
    """The page's own joiner and that of the package give the same lines, whatever stands in them."""
    joiner = Joiner()
    wanted = [each for line in lines if (each := joiner.add(line)) is not None]
    joiner.settle()
    assert reading.evaluate(_JOIN, lines) == wanted


def test_a_streamed_text_is_one_line_and_one_card(browser: Browser, talking: Served, tmp_path: Path) -> None:
    """With a log line between its words, found by words that were in different chunks; each chunk's address leads to it."""
    agentlog.configure(directory=talking.root, log_directory=tmp_path / "logs", console="off", capture_logging=False)
    log = agentlog.get_logger("agent")
    with agentlog.task("Streams", task_id="task-stream") as task:
        for word in ("The ", "quick ", "brown ", "fox"):
            task.output(word, stream=True)
            log.info("between", word=word)
    agentlog.shutdown()
    events = list(TaskReader(talking.root / "task-stream").events())
    last = [line["event_id"] for line in events if line.get("chunk")][-1]
    with opened(browser, talking, "#/task/task-stream?tab=logs") as page:
        expect(page.locator(".lines .item").filter(has_text="The quick brown fox")).to_have_count(1, timeout=TIMEOUT_MS)
        page.get_by_label("Filter lines").fill("quick brown")
        expect(page.locator(".lines .item")).to_have_count(1)
        page.goto("about:blank")
        page.goto(f"{talking.url}#/task/task-stream?tab=logs&line={last}")
        expect(page.get_by_role("option", selected=True)).to_contain_text("The quick brown fox", timeout=TIMEOUT_MS)
        page.get_by_role("tab", name="Conversation").click()
        expect(page.locator(".said").filter(has_text="quick")).to_have_count(1)
        expect(page.locator(".said").filter(has_text="The quick brown fox")).to_be_visible()
