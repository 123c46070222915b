"""The process that makes folders of what has come: one of its own, so that receiving has a core to itself.

    python -m otel_agentlog.view.collect.filer ROOT SETTLE WAIT KEEP MAX_SPOOL

It files until it reads ``end`` from its standard input, then everything that is there, prints what it did as one line of JSON,
and ends. When its standard input is closed without that, its parent has died: it ends at once, and the next one goes on.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from otel_agentlog._startup import open_closed_streams
from otel_agentlog.settings.fields import Settings, load, read_config_file
from otel_agentlog.tools.collect.filing import BusySpoolError, Filer
from otel_agentlog.vocabulary.terminal_text import safe
from otel_agentlog.wiring.importing import import_recorder

BUSY = 3
"""Exit code: another process files there."""

_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 120.0
"""Seconds between two starts."""

_END = b"end\n"


class FilerProcess:
    """One that is started anew should it die."""

    def __init__(self, root: Path, *limits: float) -> None:
        """``limits``: as the command has them."""
        self._command = [sys.executable, "-m", __name__, os.fspath(root), *map(str, limits)]
        self._wait_s = _FIRST_WAIT_S
        self._process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C at the terminal is for the one that receives, which then ends this one.
        self._started = time.monotonic()
        return subprocess.Popen(  # noqa: S603 - a module of ours, a path and numbers
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )

    def check(self) -> int | None:
        """Start it anew if it has died, the later the more often it has; the exit code of the one that was replaced."""
        code, lived_s = self._process.poll(), time.monotonic() - self._started
        if code is None or lived_s < self._wait_s:
            return None
        self._wait_s = _FIRST_WAIT_S if lived_s > 2 * self._wait_s else min(2 * self._wait_s, _LONGEST_WAIT_S)
        self._close()
        self._process = self._start()
        return code

    def end(self) -> dict[str, Any] | None:
        """Have everything filed; what was done, or ``None`` if it died over it."""
        try:
            out, _ = self._process.communicate(_END)
        except BrokenPipeError:
            out = b""
        finally:
            self._close()
        return json.loads(out) if out.strip() and self._process.returncode == 0 else None

    def _close(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue


_LIMITS = ("settle_s", "wait_s", "keep_s", "max_spool_bytes")


def filer_of(root: Path, settings: Settings, **limits: float) -> Filer:
    """What files below a root, by the settings. Raises as `Filer` does."""
    return Filer(root, lambda sink, clock, failures: import_recorder(settings, sink, clock, failures, send=False), **limits)


def settings_of(root: Path) -> Settings:
    """The settings for what is collected below a root: those of the file and the environment."""
    return load({"directory": root, "service_name": "agentlog-collect"}, read_config_file())


def _main(arguments: Sequence[str]) -> int:
    open_closed_streams()
    for number in (signal.SIGINT, signal.SIGTERM):
        # They are for the parent, which has everything filed then; systemd sends them to both.
        signal.signal(number, signal.SIG_IGN)
    ended = threading.Event()
    threading.Thread(target=_listen, args=(ended,), daemon=True).start()
    root, limits = Path(arguments[0]), dict(zip(_LIMITS, map(float, arguments[1:]), strict=True))
    try:
        with filer_of(root, settings_of(root), **limits) as filer:
            filer.run(ended.wait)
            print(json.dumps(asdict(filer.report)), flush=True)
    except BusySpoolError:
        return BUSY
    except (OSError, sqlite3.Error) as error:
        # The disk is full, say: the next one goes on. At once, as the folders that are half made are made anew.
        print(f"agentlog collect: filing ended: {safe(str(error))}", file=sys.stderr, flush=True)
        os._exit(1)
    return 0


def _listen(ended: threading.Event) -> None:
    # Not by a buffered reader, whose lock the end of the interpreter would wait for.
    said = b""
    while not said.endswith(b"\n") and (more := os.read(0, len(_END))):
        said += more
    if said == _END:
        ended.set()
    else:
        os._exit(1)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
