"""Hides what a reader of the docs has on ``PATH``."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from tests.support.forking import PYTHON


def programs(place: Path) -> Path:
    """A folder with the commands a reader has: ours, and ``curl``, where there is none, by the same URLs."""
    place.mkdir()
    (place / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (place / "python").chmod(0o755)
    PYTHON.write_command(place / "agentlog", "-m", "otel_agentlog")
    if shutil.which("curl") is None:
        (place / "curl").write_text(
            f"#!{sys.executable}\nimport shutil, sys, urllib.request\nurl = 'http://' + sys.argv[-1]\n"
            "shutil.copyfileobj(urllib.request.urlopen(url, timeout=60), sys.stdout.buffer)\n"
        )
        (place / "curl").chmod(0o755)
    return place
