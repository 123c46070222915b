"""What is in the way of a request, and that it is not for ever: a full spool, a disk that does not answer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest

from otel_agentlog.tools.collect import intake as module
from otel_agentlog.tools.collect.intake import JSON, BusyError, Intake
from otel_agentlog.tools.collect.spool import CollectSpool
from otel_agentlog.wiring.importing import part_cleaning
from tests.support.waiting import wait_until
from tests.tools.collect.collecting import Collecting, settings
from tests.tools.imports.samples import Row, request, span

MIB = 1024 * 1024


@contextmanager
def receiving(root: Path, max_spool_bytes: int = 1024 * MIB) -> Iterator[Intake]:
    """One that takes requests until the end of the block."""
    intake = Intake(root, part_cleaning(settings()), forwards=True, max_spool_bytes=max_spool_bytes, forwarding=lambda: None)
    try:
        yield intake
    finally:
        intake.close()


def is_taken(intake: Intake, row: Row) -> bool:
    """Whether a request is acknowledged."""
    try:
        intake.take("traces", JSON, orjson.dumps(row))
    except BusyError:
        return False
    return True


def test_a_spool_that_was_full_takes_requests_again(tmp_path: Path) -> None:
    """As soon as what was filed is deleted, without an end of the process."""
    large = request(*(span(number, trace=f"{1:032x}") for number in range(1, 2001)))
    with receiving(tmp_path, MIB // 2) as intake:
        assert is_taken(intake, large)
        assert not is_taken(intake, request(span(1, trace=f"{2:032x}")))

        Collecting(tmp_path).file()
        spool = CollectSpool(tmp_path)
        while (body := spool.next_outgoing()) is not None:
            spool.forwarded(body)
        assert spool.forget(0.0) == 1
        spool.close()

        wait_until(lambda: is_taken(intake, request(span(1, trace=f"{3:032x}"))), "room in the spool")


def test_a_request_that_waits_too_long_is_refused_and_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not written in time is not written later either, and is in memory no more; what comes then is taken."""
    monkeypatch.setattr(module, "_ANSWER_S", 0.5)
    with receiving(tmp_path) as intake:
        database = sqlite3.connect(tmp_path / ".collect" / "spool.db", isolation_level=None)
        database.execute("BEGIN IMMEDIATE")
        # The first is with the thread that writes, which waits for the database.
        assert [is_taken(intake, request(span(number, trace=f"{number:032x}"))) for number in (1, 2, 3)] == [False] * 3
        waiting = [each for each in [*intake._queue.queue] if each is not None]
        assert all(not each.parts and each.outgoing is None for each in waiting)
        database.execute("COMMIT")
        monkeypatch.setattr(module, "_ANSWER_S", 60.0)

        wait_until(lambda: is_taken(intake, request(span(4, trace=f"{4:032x}"))), "a disk that answers")
        tasks = {task for (task,) in database.execute("SELECT DISTINCT trace FROM part")}
        assert tasks == {f"trace-{1:032x}", f"trace-{4:032x}"}
        assert database.execute("SELECT COUNT(*) FROM outgoing").fetchone() == (2,)
        database.close()
