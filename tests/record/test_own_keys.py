"""What is ours on a line stays right, whatever the rules find, whatever fails, and however deep the stack is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import otel_agentlog as agentlog
from otel_agentlog.record.exceptions.fresh_stack import on_fresh_stack
from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.sanitize.cleaner import Cleaner
from otel_agentlog.store.validation.validate import validate

LINE: dict[str, Any] = {
    "timestamp": "2026-11-28T12:00:00.000000001Z",
    "type": "step",
    "level": "ERROR",
    "phase": "end",
    "component": "execution_engine",
    "action": "step_execution_failed",
    "message": "plan",
    "state_before": "running",
    "state_after": "failed",
    "outcome": "failed",
    "duration_ms": 12.5,
    "parent_span_id": "4111111111111111",
    "trace_flags": 1,
    "exception": {"type": "ValueError", "message": "m", "error_id": "12345678", "traceback": ["t"]},
    "links": [{"trace_id": "4111111111111111" * 2, "span_id": "4111111111111111", "attributes": {"n": 1}}],
    "events": [{"timestamp": "2026-11-28T12:00:00.000000001Z", "name": "e", "attributes": {}}],
    "details": {"n": 1},
    "attributes": {"a": "b"},
}
OWN = {key: LINE[key] for key in ("timestamp", "type", "level", "phase", "state_before", "state_after", "outcome", "duration_ms")}


class Failing(Redactor):
    """A redactor that has no memory left, from some call on."""

    def __init__(self, error: type[Exception], calls: int) -> None:
        super().__init__()
        self.error, self.left = error, calls

    def _use(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise self.error

    def sized_text(self, text: str) -> tuple[str, int, int]:
        """As `Redactor`, until it fails."""
        self._use()
        return super().sized_text(text)

    def changes(self, texts: Any) -> dict[str, tuple[str, int]]:
        """As `Redactor`, until it fails."""
        self._use()
        return super().changes(texts)


POLICIES: dict[str, Callable[[], Redactor]] = {
    "out of memory": lambda: Failing(MemoryError, 0),
    "out of memory after a while": lambda: Failing(MemoryError, 7),
    "recursion": lambda: Failing(RecursionError, 0),
    "a bug": lambda: Failing(RuntimeError, 3),
    "digits are secret": lambda: Redactor(extra_patterns=[r"\d+"]),
    "words are secret": lambda: Redactor(extra_patterns=["[a-z_]+"]),
    "names are secret": lambda: Redactor(extra_keys=["timestamp", "level", "type", "state before", "exception", "outcome"]),
    "personal data": lambda: Redactor(personal=["all"]),
}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_lines_own_keys_are_never_cleaned_like_the_users(policy: str) -> None:
    """Times, states, ids and forms are as they were; only values that users gave become marks."""
    cleaned = Cleaner(POLICIES[policy]()).clean_line(json.loads(json.dumps(LINE)))
    line = cleaned.value

    assert {key: line[key] for key in OWN} == OWN
    assert next(iter(line)) == "timestamp"
    assert (line["parent_span_id"], line["trace_flags"]) == (LINE["parent_span_id"], 1)
    assert {key: type(line[key]) for key in LINE} == {key: type(value) for key, value in LINE.items()}
    assert line["links"][0]["trace_id"] == LINE["links"][0]["trace_id"]
    assert line["events"][0]["timestamp"] == LINE["events"][0]["timestamp"]


def test_a_users_keys_of_a_stage_are_not_ours() -> None:
    """A stage's keys are chosen by users: they are cleaned even where they are called as ours are, names included."""
    secret = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    stage = {"timestamp": LINE["timestamp"], "stage": "received", "type": secret, "level": secret, secret: 1}

    assert secret not in str(Cleaner(Redactor()).clean_line(stage).value)
    assert secret not in str(Cleaner(Failing(MemoryError, 0)).clean_line(stage).value)


def test_a_header_that_cannot_be_cleaned_is_left_out(tmp_path: Path) -> None:
    """Where a processor fails, `metadata.json` has ids and times of the task, and nothing that a user gave."""

    def broken(line: dict[str, Any]) -> dict[str, Any]:
        raise OSError("no")

    agentlog.configure(directory=tmp_path / "t", log_directory=tmp_path / "l", console="off", processors=[broken])
    try:
        with agentlog.task("private-name", source="private-source", tags=["private-tag"]) as task:
            pass
        assert task.folder is not None
        metadata = (task.folder / "metadata.json").read_text()
    finally:
        agentlog.shutdown()

    assert "private" not in metadata
    assert json.loads(metadata)["task_id"] == task.task_id


ODD: dict[str, Any] = {
    "an object": object(),
    "a surrogate": "\udce9",
    "a large number": 1 << 70,
    "no text": {1: 2},
    "nothing": None,
}


@pytest.mark.parametrize("name", ODD)
def test_what_a_processor_adds_costs_no_line(name: str, tmp_path: Path) -> None:
    """A processor that adds what JSON has no form for, or returns no line at all, loses at most its own value."""

    def odd(line: dict[str, Any]) -> Any:
        return None if name == "nothing" else {**line, "odd": ODD[name]}

    agentlog.configure(directory=tmp_path / "t", log_directory=tmp_path / "l", console="off", processors=[odd])
    try:
        with agentlog.task("t") as task:
            agentlog.get_logger("x").info("m")
        receipt = agentlog.flush()
        assert task.folder is not None
        lines = [json.loads(line) for line in (task.folder / "03-agent-output.jsonl").read_text().splitlines()]
    finally:
        agentlog.shutdown()

    assert [line["type"] for line in lines] == ["process", "task", "log", "task"]
    assert receipt.dropped == 0


DEEP = """
import sys, functools
import otel_agentlog as agentlog
agentlog.configure(directory={root!r}, log_directory={logs!r}, console="off")
log = agentlog.get_logger("deep")
begun = logged = 0

def plain(n):
    global begun, logged
    with agentlog.step("deep"):
        begun += 1
        log.info("line %s", n, n=n, values={{"a": [1, {{"b": "c"}}]}})
        logged += 1
        {again}

try:
    with agentlog.task("t") as task:
        plain(0)
except RecursionError:
    pass
print(begun, logged, task.folder)
print(agentlog.flush())
"""
WAYS = {
    "python": "plain(n + 1)",
    "through C": "list(map(plain, [n + 1]))",
    "through a sort": "sorted([n + 1], key=plain)",
    "through partial": "functools.partial(plain, n + 1)()",
}


@pytest.mark.parametrize("way", WAYS)
def test_at_the_recursion_limit_a_call_that_returns_has_recorded(way: str, tmp_path: Path) -> None:
    """Every step that began has its start and end, every line that was logged is there, and the folder is valid."""
    program = DEEP.format(root=str(tmp_path / "t"), logs=str(tmp_path / "l"), again=WAYS[way])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=100, check=True)
    counts, receipt = done.stdout.splitlines()[:2]
    begun, logged, folder = counts.split()
    lines = [json.loads(line) for line in (Path(folder) / "03-agent-output.jsonl").read_text().splitlines()]
    found = Counter((line["type"], line.get("phase")) for line in lines)

    # The last one may have begun in a call that then raised.
    assert int(begun) <= found[("step", "start")] == found[("step", "end")] <= int(begun) + 1
    assert int(logged) <= found[("log", None)] <= int(logged) + 1
    assert "dropped=0" in receipt
    assert validate(Path(folder)).errors == 0
    assert {type(line["exception"]) for line in lines if "exception" in line} == {dict}


def test_a_fresh_stack_has_the_callers_context_and_exception() -> None:
    """What is handled and what is current there is so on the other thread; what is raised there is raised here."""
    task = agentlog.task("t")
    with task:
        try:
            raise ValueError("handled")
        except ValueError as error:
            seen, traceback, handled = on_fresh_stack(sys.exc_info), error.__traceback__, error
        assert seen[1] is handled
        assert handled.__traceback__ is traceback
        assert on_fresh_stack(agentlog.current_task) == task.task_id

    with pytest.raises(KeyError):
        on_fresh_stack(dict[str, int]().__getitem__, "x")


@pytest.mark.parametrize("name", ["password", "../../etc/passwd", "api_key leaked", "access_token", "PIN", "x" * 500 + " secret"])
def test_the_number_of_a_score_is_no_secret_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    """Elsewhere what stands beside the name of a secret is one; the texts of a score are cleaned like any others."""
    agentlog.configure(directory=tmp_path / "tasks", log_directory=tmp_path / "logs", console="off", capture_logging=False)
    with agentlog.task("t", task_id="t") as task:
        task.score(name, 0.25, explanation="password=hunter2hunter2")
        task.score(f"{name} or not", True)
        agentlog.get_logger("x").info("given", pairs=[{"name": "password", "value": 1234}])
    agentlog.shutdown()

    lines = [json.loads(line) for line in (tmp_path / "tasks" / "t" / "03-agent-output.jsonl").read_text().splitlines()]
    assert [line["details"]["value"] for line in lines if line.get("action") == "score_added"] == [0.25, 1.0]
    assert "hunter2" not in json.dumps(lines)
    (given,) = (line for line in lines if line.get("message") == "given")
    assert given["details"]["pairs"][0]["value"] == "[redacted:password]"
    assert [str(problem) for problem in validate(tmp_path / "tasks" / "t").problems] == []
