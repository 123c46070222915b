"""What log lines from one place in the code have in common is made once: that of this place, logger and recorder."""

from __future__ import annotations

from typing import Any

import pytest

from otel_agentlog.record.collaborators import Failures
from otel_agentlog.record.logs import line as lines
from otel_agentlog.record.logs.logger import AgentLogger, get_logger
from otel_agentlog.record.recorder import Cleaning, Recorder, use
from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.sanitize.cleaner import Cleaner
from otel_agentlog.vocabulary.envelope import Envelope

SECRET = "sk-ant-api03-" + "Ab3xY7_q" * 11 + "AAAA"  # shaped like a key, and none


def recorded(cleaned: bool = True) -> tuple[Recorder, list[dict[str, Any]]]:
    """A recorder, and the lines that it will have recorded."""
    kept: list[dict[str, Any]] = []

    def sink(envelope: Envelope) -> None:
        kept.append(envelope.line)

    cleaning = Cleaning(Cleaner(Redactor()), failed=Failures().note) if cleaned else None
    return Recorder([sink], cleaning=cleaning), kept


def say(log: AgentLogger, level: str, number: int) -> None:
    """The one place in the code from which the tests log."""
    log.log(level, "said", number=number)


def test_each_line_from_one_place_has_its_own_level_logger_details_and_time() -> None:
    """Nothing of one line gets into the next."""
    recorder, kept = recorded()
    before = use(recorder)
    try:
        for number in range(3):
            for name, component in (("a", None), ("b", "runner")):
                for level in ("WARNING", "ERROR"):
                    say(get_logger(name, component), level, number)
    finally:
        use(before)

    told = [(line["details"]["number"], line["logger"], line.get("component"), line["level"]) for line in kept]
    who, levels = (("a", None), ("b", "runner")), ("WARNING", "ERROR")
    assert told == [(number, *each, level) for number in range(3) for each in who for level in levels]
    assert {(line["module"], line["function"], line["line"]) for line in kept} == {
        ("test_known_lines", "say", say.__code__.co_firstlineno + 2)
    }
    assert [next(iter(line)) for line in kept] == ["timestamp"] * len(kept)
    assert len({id(line) for line in kept}) == len(kept)


@pytest.mark.parametrize("first_cleaned", [False, True])
def test_what_one_recorder_let_pass_another_redacts(first_cleaned: bool) -> None:
    """A logger whose name is a secret: the lines of a recorder with rules never have it, whatever was recorded there before."""
    log = get_logger(SECRET, "runner")
    first, _ = recorded(first_cleaned)
    second, kept = recorded()
    before = use(first)
    try:
        say(log, "WARNING", 1)
        use(second)
        for number in range(3):
            say(log, "WARNING", number)
    finally:
        use(before)

    assert len(kept) == 3
    for line in kept:
        assert SECRET not in str(line)
        assert line["logger"].startswith("[redacted")


def test_code_that_is_gone_leaves_nothing_to_code_in_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions made one after the other get the same `id` again and again; few places are remembered."""
    monkeypatch.setattr(lines, "MAX_KNOWN", 8)
    recorder, kept = recorded()
    before = use(recorder)
    try:
        for number in range(40):
            made: dict[str, Any] = {"log": get_logger("made")}
            exec(f"def made_{number}():\n    log.warning('from {number}')\nmade_{number}()", made)
            assert len(recorder.log_lines) <= 8
            made.clear()
    finally:
        use(before)

    assert [line["function"] for line in kept] == [f"made_{number}" for number in range(40)]
    assert [line["message"] for line in kept] == [f"from {number}" for number in range(40)]
