"""What a command over a whole root says, on standard error, about folders that it could not read whole."""

from __future__ import annotations

import sys
from pathlib import Path

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.query import damaged
from otel_agentlog.view.render import formats
from otel_agentlog.vocabulary.terminal_text import safe

MAX_NAMED = 20
"""Folders that are named; of more their number is given."""


def tell_damage(root: Path) -> None:
    """Name the damaged folders, each with the first reason; nothing where there are none."""
    try:
        found = damaged(root)
    except OSError:
        raise_interrupt()
        return  # the command itself has said that the root cannot be read
    if not found:
        return
    of_them = formats.count(len(found), "folder is", "folders are")
    print(f"{of_them} damaged; of such folders only what can be read is shown (agentlog validate tells all):", file=sys.stderr)
    for folder, why in found[:MAX_NAMED]:
        print(f"  {safe(folder.name)}: {safe(why)}", file=sys.stderr)
    if len(found) > MAX_NAMED:
        print(f"  … and {len(found) - MAX_NAMED:,} more", file=sys.stderr)
