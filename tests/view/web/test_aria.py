"""What a screen reader is told of each page, as snapshots of its accessibility tree."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from tests.view.server.served import Served
from tests.view.web.pages import TIMEOUT_MS, opened

_TASK = """
- region "The task":
  - heading "Review PR 42" [level=1]
  - text: failed
  - link "Compare"
  - button "Export"
  - region "Why it failed":
    - heading "Why it failed" [level=2]
    - paragraph: "ValueError: boom: the verdict is missing"
    - text: validation
    - button /Copy error id/
    - list
    - group: Traceback
    - paragraph:
      - text: In
      - strong: step judge
      - button "Go to the failing part"
  - term: Time
"""

_TREE = """
- tree "Parts of the task":
  - treeitem /hook github issue_comment.created/ [expanded] [level=1]
  - treeitem /push tasks/ [expanded] [level=2]
  - treeitem /pickup tasks failed/ [expanded] [level=3]
  - treeitem /task Review PR 42 failed/ [expanded] [level=4]
  - treeitem /step plan/ [expanded] [level=5]
  - treeitem /ai claude-opus-4-5/ [level=6]
  - treeitem /tool Read path=src.a.py/ [level=6]
  - treeitem /sub Check style/ [level=5]
  - treeitem /step judge failed/ [level=5]
"""

_TABS = """
- tablist "Views of the task":
  - tab "Waterfall 9" [selected]
  - tab "Conversation"
  - tab "Lines 29"
  - tab "Webhook flow 6"
  - tab "Result"
  - tab "Files"
"""

_OVERVIEW = """
- main:
  - heading "Overview" [level=1]
  - navigation "Time":
    - link "1 hour"
    - link "6 hours"
    - link "24 hours"
    - link "7 days"
    - link "30 days"
  - term: Running
  - definition:
    - link /Running/
"""

_LIST = """
- table "Tasks":
  - rowgroup:
    - row:
      - columnheader "Task"
      - columnheader "Status"
      - columnheader "Agent"
      - columnheader "Started":
        - button "Started"
      - columnheader "Time":
        - button "Time"
"""


def test_what_a_screen_reader_is_told(browser: Browser, served: Served) -> None:
    """Names, roles, levels and states of the task's page, the overview and the list."""
    with opened(browser, served, "#/task/task-review42") as page:
        page.wait_for_selector(".falls .item")
        expect(page.locator("#tab-logs small")).to_have_text("29", timeout=TIMEOUT_MS)
        expect(page.get_by_role("region", name="The task")).to_match_aria_snapshot(_TASK)
        expect(page.get_by_role("tree")).to_match_aria_snapshot(_TREE)
        expect(page.get_by_role("tablist")).to_match_aria_snapshot(_TABS)
        page.goto(f"{served.url}#/")
        page.wait_for_selector(".figure .value")
        expect(page.get_by_role("main")).to_match_aria_snapshot(_OVERVIEW)
        page.goto(f"{served.url}#/tasks")
        page.wait_for_selector("tbody tr")
        expect(page.get_by_role("table")).to_match_aria_snapshot(_LIST)
