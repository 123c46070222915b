"""Hides how tests wait for something that happens in another thread or process: they poll, until a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_INTERVAL_S = 0.02


def wait_until(check: Callable[[], T], what: str, *, timeout_s: float = 15.0) -> T:
    """The first true value that ``check`` returns.

    Raises:
        AssertionError: ``check`` was still false after ``timeout_s``; the message names ``what`` and the last value.
    """
    deadline = time.monotonic() + timeout_s
    while not (value := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s for {what}, last seen: {value!r}")
        time.sleep(POLL_INTERVAL_S)
    return value
