"""Hides the real browser: the system's Chromium (Debian package ``chromium``), driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest


def find_chromium() -> str | None:
    """The browser's path, if there is one."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextmanager
def browser() -> Iterator[Any]:
    """A headless browser; without one the test is skipped loudly, and fails in CI."""
    path = find_chromium()
    if path is None:
        assert not os.environ.get("CI"), "no Chromium (Debian package chromium)"
        pytest.skip("no Chromium (Debian package chromium): the page was NOT tested in a browser")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Chromium's own sandbox needs what containers do not give; it opens no page but ours.
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield running
        finally:
            running.close()
