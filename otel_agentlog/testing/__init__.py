"""For tests of instrumented code: what it records, a clock that is moved by hand, and collectors and disks that fail.

With pytest the fixtures are there once the package is installed (`docs/testing.md`):

def test_my_agent(agentlog_recording):
    my_agent()
    assert_shape(agentlog_recording.task("Review"), [an_ai_call("gpt-*"), a_tool("Read")], cost_below_usd=0.01)
    agentlog_recording.assert_not_left("the secret")

recorded.py       `record_in`: what is recorded in a block, in the real way, but for the network; `Recorded`, to read it
reading.py        the tasks of a folder: lines, spans, logs, the tree of what ran
shape.py          `assert_shape`: which parts a task is expected to have
places.py         where a text is found that should be nowhere
golden.py         folders as text, what differs from run to run made equal, and files that have it
clock.py          `FixedClock`, `fixed_ids`
replaying.py      `replay`: code of a test against a task on record
killing.py        `run_and_kill`: a program that dies in the middle
memory.py         `recording`: lines in memory, without folders
otlp/             `OtlpReceiver`: a collector in the test, with faults
pytest_plugin.py  the fixtures; the only module that imports pytest
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otel_agentlog._startup import lazy_names

if TYPE_CHECKING:
    from otel_agentlog.testing.clock import FixedClock as FixedClock
    from otel_agentlog.testing.clock import fixed_ids as fixed_ids
    from otel_agentlog.testing.golden import assert_golden as assert_golden
    from otel_agentlog.testing.golden import golden_text as golden_text
    from otel_agentlog.testing.killing import run_and_kill as run_and_kill
    from otel_agentlog.testing.memory import MemorySink as MemorySink
    from otel_agentlog.testing.memory import recording as recording
    from otel_agentlog.testing.otlp.answers import Hang as Hang
    from otel_agentlog.testing.otlp.answers import Ok as Ok
    from otel_agentlog.testing.otlp.answers import PartialSuccess as PartialSuccess
    from otel_agentlog.testing.otlp.answers import Refuse as Refuse
    from otel_agentlog.testing.otlp.answers import Reset as Reset
    from otel_agentlog.testing.otlp.answers import SlowLoris as SlowLoris
    from otel_agentlog.testing.otlp.receiver import OtlpReceiver as OtlpReceiver
    from otel_agentlog.testing.reading import RecordedPart as RecordedPart
    from otel_agentlog.testing.reading import RecordedTask as RecordedTask
    from otel_agentlog.testing.recorded import Recorded as Recorded
    from otel_agentlog.testing.recorded import record_in as record_in
    from otel_agentlog.testing.replaying import Replay as Replay
    from otel_agentlog.testing.replaying import replay as replay
    from otel_agentlog.testing.shape import a_span as a_span
    from otel_agentlog.testing.shape import a_step as a_step
    from otel_agentlog.testing.shape import a_task as a_task
    from otel_agentlog.testing.shape import a_tool as a_tool
    from otel_agentlog.testing.shape import an_ai_call as an_ai_call
    from otel_agentlog.testing.shape import assert_shape as assert_shape

_HOMES = {
    "clock": "FixedClock fixed_ids",
    "golden": "assert_golden golden_text",
    "killing": "run_and_kill",
    "memory": "MemorySink recording",
    "otlp.answers": "Hang Ok PartialSuccess Refuse Reset SlowLoris",
    "otlp.receiver": "OtlpReceiver",
    "reading": "RecordedPart RecordedTask",
    "recorded": "Recorded record_in",
    "replaying": "Replay replay",
    "shape": "a_span a_step a_task a_tool an_ai_call assert_shape",
}
__all__, __getattr__ = lazy_names(__name__, _HOMES)
