"""Makes the pictures of README from the demo: ``python -m tests.pictures`` writes ``docs/pictures/``.

show.svg      ``agentlog show last`` in a terminal
monitor.svg   the terminal monitor, at the same task
page.png      the web page, at the same task
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import io
import os
import struct
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.view.monitor.app import MonitorApp
from otel_agentlog.view.render.screen import Glyphs
from tests.support.browser import browser
from tests.view.server.served import Served

PICTURES = Path(__file__).resolve().parents[1] / "docs" / "pictures"
COLUMNS, ROWS = 110, 34
PAGE_PIXELS = {"width": 1280, "height": 800}


def main() -> None:
    """Run the demo in a folder of its own and take all three."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch) / "tasks"
        _agentlog(root, "demo")
        task = next(each for each in list_tasks(root) if each.metadata().get("assigned_agent") == "reviewer")
        _show(root, task)
        asyncio.run(_monitor(root, task))
        _page(root, task, Path(scratch))


def _agentlog(root: Path, *argv: str) -> str:
    """What a command prints into a terminal."""
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    env = {**os.environ, "TASK_LOGS_DIR": str(root), "AGENTLOG_LOG_DIR": str(root.parent), "TERM": "xterm-256color"}
    process = subprocess.Popen([sys.executable, "-m", "otel_agentlog", *argv], env=env, stdout=its, stderr=subprocess.DEVNULL)
    os.close(its)
    printed = b""
    with contextlib.suppress(OSError):  # the end of a terminal, on Linux
        while data := os.read(ours, 65_536):
            printed += data
    os.close(ours)
    if process.wait() != 0:
        raise SystemExit(f"agentlog {argv[0]} failed: {printed.decode()}")
    return printed.decode().replace("\r\n", "\n")


def _show(root: Path, task: TaskReader) -> None:
    from rich.console import Console
    from rich.text import Text

    head, _, tree = _agentlog(root, "show", task.task_id).partition("\n\n")
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    # Between them: ids, input, result, webhook stages.
    console.print(Text.from_ansi(f"{head}\n\n…\n\n{tree[tree.index('WHAT HAPPENED') - 4 :].rstrip()}"))
    console.save_svg(str(PICTURES / "show.svg"), title="agentlog show last")


async def _monitor(root: Path, task: TaskReader) -> None:
    app = MonitorApp(root, task, Glyphs())
    async with app.run_test(size=(COLUMNS, ROWS)) as pilot:
        await pilot.pause(1)  # what is read by its workers is on the screen then
        (PICTURES / "monitor.svg").write_text(app.export_screenshot(title="agentlog monitor"))


def _page(root: Path, task: TaskReader, scratch: Path) -> None:
    with Served(root, scratch) as served, browser() as chromium:
        page = chromium.new_page(viewport=PAGE_PIXELS)
        page.goto(f"{served.url}#/task/{task.task_id}")
        page.wait_for_load_state("networkidle")
        page.screenshot(path=PICTURES / "page.png")


if __name__ == "__main__":
    main()
