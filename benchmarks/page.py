"""The page of a task of 20,000 lines in a real browser: how long until there is something to read, and until each view is there.

python -m benchmarks.page                       Chromium, three runs, the median of each figure
python -m benchmarks.page --turns 500 --json    a shorter task (nine lines a turn), as JSON
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, Page

from tests.support.browser import browser
from tests.view.server.served import Served
from tests.view.web.long_tasks import LINES_A_TURN, write_long

TURNS = 2_222
RUNS = 3
VIEWS = {"Waterfall": ".falls .item", "Conversation": ".said", "Lines": ".lines .item", "Result": "section", "Files": ".files"}

_NODES = "document.querySelectorAll('*').length"
_PAINTED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


def main() -> int:
    """Print the figures; exit code 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        write_long(Path(scratch) / "tasks" / "task-long", options.turns, status="failed")
        with Served(Path(scratch) / "tasks", Path(scratch)) as served, browser() as running:
            runs = [measured(running, served.url, options.turns * LINES_A_TURN + 2) for _ in range(options.runs)]
    found = {name: round(median(run[name] for run in runs), 3) for name in runs[0]}
    print(json.dumps(found) if options.json else "\n".join(f"{name:44} {value:>10,}" for name, value in found.items()))
    return 0


def measured(browser: Browser, url: str, lines: int) -> dict[str, Any]:
    """Seconds and counts of one look at the task, by a browser that has never seen it."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    begun = time.perf_counter()
    page.goto(f"{url}#/task/task-long")
    found: dict[str, Any] = {}
    page.get_by_role("region", name="Why it failed").wait_for()
    found["s to why it failed"] = time.perf_counter() - begun
    page.wait_for_selector(".falls .item")
    found["s to the first rows of the waterfall"] = time.perf_counter() - begun
    page.locator("#tab-logs small", has_text=f"{lines:,}").wait_for()
    found["s to the last line"] = time.perf_counter() - begun
    for name, content in VIEWS.items():
        found |= _view(page, name, content)
    context.close()
    return found


def _view(page: Page, name: str, content: str) -> dict[str, Any]:
    page.get_by_role("tab", name="Files").click()
    begun = time.perf_counter()
    page.get_by_role("tab", name=name).click()
    page.wait_for_selector(f"[role=tabpanel] {content}")
    page.evaluate(_PAINTED)
    return {f"{name}: s": time.perf_counter() - begun, f"{name}: nodes": page.evaluate(_NODES)}


if __name__ == "__main__":
    raise SystemExit(main())
