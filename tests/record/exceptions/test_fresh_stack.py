"""Work on a thread of its own, where that thread dies before it begins."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from otel_agentlog import _interrupts
from otel_agentlog._interrupts import OwnThread
from otel_agentlog.record.exceptions import fresh_stack
from otel_agentlog.record.exceptions.fresh_stack import on_fresh_stack


def _dies(function: Callable[[], object]) -> Callable[[], object]:
    """As where not even a frame can be had any more."""
    return lambda: None


@pytest.fixture(autouse=True)
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not as long as on a machine with much else to do."""
    for module in (_interrupts, fresh_stack):
        monkeypatch.setattr(module, "THREAD_PATIENCE_S", 0.2)


def test_nothing_waits_for_a_thread_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work is done where it was asked for; a thread of ours could not be started."""
    for module in (_interrupts, fresh_stack):
        monkeypatch.setattr(module, "started_in_try", _dies)

    assert on_fresh_stack(lambda: threading.get_ident()) == threading.get_ident()
    with pytest.raises(RuntimeError):
        OwnThread(lambda: None, "dies").start()


@pytest.mark.timeout(60)
def test_work_that_takes_long_is_waited_for() -> None:
    """However long: it is there."""
    release = threading.Event()
    times: list[Any] = []

    def work() -> int:
        times.append(release.wait(30))
        return threading.get_ident()

    threading.Timer(1.0, release.set).start()
    assert on_fresh_stack(work) != threading.get_ident()
    assert times == [True]
