"""What the supervisor of a process tree reports."""

from __future__ import annotations

import json

from otel_agentlog.tools.process.run import last_message


def test_a_report_may_end_anywhere() -> None:
    """A supervisor that is killed as it writes leaves the messages before."""
    messages = [{"pid": 7}, {"exit": 0, "reason": None, "unkillable": []}]
    report = b"".join(json.dumps(message).encode() + b"\n" for message in messages)

    found = [last_message(report[:size]) for size in range(len(report) + 1)]

    first = report.index(b"\n") + 1
    assert found == [{}] * first + [messages[0]] * (len(report) - first) + [messages[1]]
