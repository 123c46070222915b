"""What waits to be forwarded, and a disk that cannot be written to for a while."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from otel_agentlog.settings.parsers import Connection
from otel_agentlog.testing.otlp.receiver import OtlpReceiver
from otel_agentlog.tools.collect.intake import PROTOBUF
from otel_agentlog.tools.collect.spool import CollectSpool
from otel_agentlog.view.collect.forwarding import Forwarding
from tests.support.receiving import trace_body
from tests.support.waiting import wait_until


def test_forwarding_goes_on_after_an_error_of_the_disk(tmp_path: Path) -> None:
    """It is reported once; as soon as the spool can be written to again, what waits is sent."""
    reported: list[str] = []
    spool = CollectSpool(tmp_path)
    database = sqlite3.connect(tmp_path / ".collect" / "spool.db", isolation_level=None)
    database.execute("CREATE TRIGGER full BEFORE DELETE ON outgoing BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    spool.keep([], [("traces", PROTOBUF, trace_body(1)), ("traces", PROTOBUF, trace_body(2))])
    with OtlpReceiver() as further:
        forwarding = Forwarding(tmp_path, further.http_endpoint, lambda signal: Connection(), reported.append)
        forwarding.start()
        try:
            wait_until(lambda: reported, "the error")
            database.execute("DROP TRIGGER full")
            wait_until(lambda: spool.next_outgoing() is None, "both bodies to be sent")
        finally:
            forwarding.stop()
            spool.close()
            database.close()
        assert {each["trace_id"] for each in further.spans()} == {f"{1:032x}", f"{2:032x}"}
    assert len(reported) == 1
    assert "disk is full" in reported[0]
