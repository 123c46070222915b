"""Pages of ``agentlog serve`` in a real browser, which complains of nothing and asks nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from tests.view.server.served import Served

TIMEOUT_MS = 60_000
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}

expect.set_options(timeout=TIMEOUT_MS)


_FRESH: dict[str, Any] = {"viewport": DESKTOP, "color_scheme": "light", "reduced_motion": "reduce"}
_EMPTY = "web/mark.svg"
"""A document without a script: what is left there has no stream and no timer any more."""

_left: WeakKeyDictionary[Browser, list[Page]] = WeakKeyDictionary()


@contextmanager
def opened(browser: Browser, served: Served, path: str = "", *, new: bool = False, **options: Any) -> Iterator[Page]:
    """A page with the token; nothing may be written to its console, and nothing may lead elsewhere.

    A new tab costs the browser two seconds of CPU, so the tab of the test before is used again: with another document, and
    without what was stored, allowed or emulated. With ``new`` it is a tab that nothing was opened in. Lamps do not breathe but
    where that is asked for with ``reduced_motion``, as each frame is painted by the CPU.
    """
    page = _page(browser, new, **{**_FRESH, **options})
    complaints: list[str] = []
    hearing = _hearing(complaints, served.url)
    for event, hear in hearing.items():
        page.context.on(event, hear)  # type: ignore[call-overload]
    page.goto(f"{served.url}#token={served.token}")
    if path:
        page.goto(f"{served.url}{path}")
    try:
        yield page
    except BaseException:
        page.context.close()
        raise
    if new:
        page.context.close()
    else:
        _leave(page, served)
        for event, hear in hearing.items():
            page.context.remove_listener(event, hear)
        _left.setdefault(browser, []).append(page)
    assert not complaints, complaints


def _page(browser: Browser, new: bool, *, viewport: Any, permissions: Sequence[str] = (), **media: Any) -> Page:
    left = _left.get(browser)
    page = left.pop() if left and not new else browser.new_context(viewport=viewport).new_page()
    page.set_default_timeout(TIMEOUT_MS)
    if page.viewport_size != viewport:
        page.set_viewport_size(viewport)
    page.emulate_media(**media)
    if permissions:
        page.context.grant_permissions(permissions)
    return page


def _leave(page: Page, served: Served) -> None:
    """Leave nothing to the next test: no document, nothing stored, allowed or emulated, no mouse over the page."""
    page.goto(f"{served.url}{_EMPTY}")
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.unroute_all()
    page.emulate_media(media="null", color_scheme="null", reduced_motion="null", forced_colors="null", contrast="null")
    page.mouse.move(-1, -1)
    page.context.clear_cookies()
    page.context.clear_permissions()


def watched(context: BrowserContext, origin: str) -> list[str]:
    """What the console and pages complain of, and what is asked of anybody else."""
    complaints: list[str] = []
    for event, hear in _hearing(complaints, origin).items():
        context.on(event, hear)  # type: ignore[call-overload]
    return complaints


def _hearing(complaints: list[str], origin: str) -> dict[str, Callable[[Any], None]]:
    def console(message: ConsoleMessage) -> None:
        if _is_complaint(message):
            complaints.append(message.text)

    def request(asked: Request) -> None:
        if not asked.url.startswith((origin, "blob:", "data:")):
            complaints.append(asked.url)

    return {
        "console": console,
        "weberror": lambda error: complaints.append(str(error.error)),
        "dialog": lambda dialog: complaints.append(f"dialog: {dialog.message}"),
        "request": request,
    }


def _is_complaint(message: ConsoleMessage) -> bool:
    # Chromium itself notes every answer of 401, 404 and 422; the page shows what they say.
    return message.type in ("error", "warning") and "status of 4" not in message.text
