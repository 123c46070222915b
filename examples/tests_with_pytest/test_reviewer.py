"""Tests of an agent by what it records. Run them with ``pytest``; the fixtures come with the package."""

from __future__ import annotations

import pytest
from reviewer import review

import otel_agentlog as agentlog
from otel_agentlog.testing import Ok, Refuse, a_span, a_step, a_tool, an_ai_call, assert_shape


@pytest.fixture
def folder(tmp_path):
    """What is reviewed."""
    (tmp_path / "README.md").write_text("# Hello\n")
    return tmp_path


def test_it_asks_once_and_reads_one_file(agentlog_recording, folder):
    """One AI call, then the tool; little money; no secret anywhere, and no prompt beyond this machine."""
    review(folder, "What is to be read?", token="sk-Zm9vYmFyYmF6cXV4cXV1eDEyMzQ1Njc4")

    task = agentlog_recording.task("Review")
    assert_shape(task, [a_step("plan", [an_ai_call("gpt-*"), a_span("GET *")]), a_tool("Read")], cost_below_usd=0.01)
    assert task.result == "approved"
    agentlog_recording.assert_not_left("sk-Zm9vYmFyYmF6cXV4cXV1eDEyMzQ1Njc4")
    agentlog_recording.assert_not_left("What is to be read?", in_=("otlp", "console"))


def test_a_missing_file_fails_the_tool_and_the_task(agentlog_recording, tmp_path):
    """The error is the user's own, and it is told where it happened."""
    with pytest.raises(FileNotFoundError):
        review(tmp_path, "What is to be read?")

    task = agentlog_recording.task()
    assert task.outcome == "failed"
    assert_shape(task.calls, [an_ai_call(), a_tool("Read", outcome="failed", error="FileNotFoundError: *")])


def test_what_is_recorded_is_what_it_was(agentlog_clock, agentlog_ids, agentlog_recording, agentlog_golden, folder):
    """Compared with ``golden/test_what_is_recorded_is_what_it_was.txt``; written by ``pytest --agentlog-update-golden``."""
    review(folder, "What is to be read?")

    agentlog_golden(agentlog_recording.task("Review"))


def test_time_passes_when_the_test_says_so(agentlog_clock, agentlog_recording):
    """Durations without waiting."""
    with agentlog.task("Wait"), agentlog.step("sleep"):
        agentlog_clock.forward(90)

    assert agentlog_recording.task("Wait").root.children[0].duration_ms == 90_000


def test_a_collector_that_is_busy_costs_nothing(agentlog_recording, agentlog_receiver, folder):
    """What it refuses is kept, and delivered when it takes it."""
    agentlog_recording.send_to(agentlog_receiver.http_endpoint)
    agentlog_receiver.answer = Refuse(503)

    assert review(folder, "What is to be read?") == "approved"
    assert agentlog.flush(0.2).pending > 0

    agentlog_receiver.answer = Ok()
    agentlog_receiver.wait_for(lambda receiver: len(receiver.spans()) == 5, "the five spans")


def test_a_run_that_is_killed_leaves_a_complete_trace(agentlog_kill, tmp_path):
    """`kill -9` while the tool runs: the next process closes what was open."""
    script = tmp_path / "slow.py"
    script.write_text(
        "import time, otel_agentlog as agentlog\nagentlog.configure()\n"
        "with agentlog.task('Slow'), agentlog.tool('Wait'): time.sleep(60)\n"
    )

    left = agentlog_kill(script, until=lambda recorded: "tool Wait" in recorded.tree())
    left.recover()

    assert_shape(left.task("Slow"), [a_tool("Wait", outcome="interrupted")])
