"""Pages of ``agentlog serve`` in a real browser, which complains of nothing and asks nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect

from tests.view.server.served import Served

TIMEOUT_MS = 60_000
DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}

expect.set_options(timeout=TIMEOUT_MS)


@contextmanager
def opened(browser: Browser, served: Served, path: str = "", **options: Any) -> Iterator[Page]:
    """A page with the token; nothing may be written to its console, and nothing may lead elsewhere."""
    context = browser.new_context(**{"viewport": DESKTOP, **options})
    complaints = watched(context, served.url)
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(f"{served.url}#token={served.token}")
    if path:
        page.goto(f"{served.url}{path}")
    yield page
    context.close()
    assert not complaints, complaints


def watched(context: BrowserContext, origin: str) -> list[str]:
    """What the console and pages complain of, and what is asked of anybody else."""
    complaints: list[str] = []
    context.on("console", lambda message: complaints.append(message.text) if _is_complaint(message) else None)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
    context.on(
        "request", lambda asked: None if asked.url.startswith((origin, "blob:", "data:")) else complaints.append(asked.url)
    )
    return complaints


def _is_complaint(message: ConsoleMessage) -> bool:
    # Chromium itself notes every answer of 401, 404 and 422; the page shows what they say.
    return message.type in ("error", "warning") and "status of 4" not in message.text
