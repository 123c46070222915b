"""Every interleaving of requests, the agent's own calls, its death and its resumption, against a model."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from otel_agentlog.errors import StateError
from otel_agentlog.store.control import ask
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.recovery.recover import recover
from otel_agentlog.store.validation.validate import validate
from tests.end_to_end.control import control_agent
from tests.support.waiting import wait_until

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tests.end_to_end.control.control_agent"])
TIMEOUT_S = 60


class Control(RuleBasedStateMachine):
    """One task, its agents one after the other, and somebody who asks things of it."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="control-states-"))
        self.root = self.place / "tasks"
        self.carrier: dict[str, str] | None = None
        # What the model knows.
        self.alive = self.ended = self.waiting = self.raised = self.recovered = False
        self.state, self.status = "running", "running"
        self.settled: set[str] = set()
        self.pending: list[tuple[str, str]] = []
        self.wanted: str | None = None
        self.lost_pauses: list[tuple[str, str]] = []
        self.cancel = False
        self.unread: list[str] = []
        self.accepted: dict[str, str] = {}
        self.met: set[str] = set()
        self.number = 0
        self.start()

    def start(self) -> None:
        ours, theirs = _processes.Pipe()
        self.process = _processes.Process(target=control_agent.run, args=(str(self.root), self.carrier, theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.pipe = ours
        assert ours.poll(TIMEOUT_S)
        self.carrier = ours.recv()
        self.alive, self.recovered, self.state, self.status = True, False, "running", "running"
        self.waiting = self.raised = False
        self.settled = set()

    def tell(self, *what: str) -> Any:
        self.pipe.send(what)
        assert self.pipe.poll(TIMEOUT_S)
        return self.pipe.recv()

    @property
    def folder(self) -> Path:
        return self.root / "t"

    # -- the model --------------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """The agent looks at what was asked."""
        pending, self.pending = self.pending, []
        for what, request_id in pending:
            self.met.add(request_id)
            if what == "pause":
                if self.wanted is None and not self.cancel and self.state == "running":
                    self.wanted = request_id
            elif what == "resume":
                self.wanted = None
                if self.state == "paused":
                    self.state = "running"
                    self.settled.add("running")
            elif what == "cancel":
                self.cancel = True
            else:
                self.unread.append(request_id)

    def meet(self) -> None:
        """The agent is at a checkpoint."""
        self.look()
        self.waiting, self.raised = False, False
        if self.cancel:
            self.raised = True
            return
        if self.wanted is not None:
            self.state, self.wanted = "paused", None
            self.settled.add("paused")
        self.waiting = self.state == "paused"

    # -- what may happen --------------------------------------------------------------------------------------------------

    @rule(what=st.sampled_from(["pause", "pause", "resume", "resume", "cancel", "context", "context"]))
    def somebody_asks(self, what: str) -> None:
        self.number += 1
        said = f"text {self.number}" if what == "context" else ""
        refused = self.ended or (not self.alive and (self.recovered or self.status != "paused"))
        try:
            request_id = ask(self.folder, what, text=said, source="test").request.request_id
        except StateError:
            assert refused
            return
        assert not refused
        self.accepted[request_id] = said
        self.pending.append((what, request_id))
        if self.waiting:
            wait_until(lambda: request_id.encode() in self.output(), f"{what} to be met", timeout_s=TIMEOUT_S)
            self.meet()

    def output(self) -> bytes:
        return (self.folder / "03-agent-output.jsonl").read_bytes()

    @precondition(lambda self: self.alive and not self.waiting)
    @rule()
    def the_agent_comes_to_a_checkpoint(self) -> None:
        self.tell("checkpoint")
        self.meet()

    @precondition(lambda self: self.alive)
    @rule(move=st.sampled_from(["pause", "resume"]))
    def the_agent_moves_itself(self, move: str) -> None:
        to = "paused" if move == "pause" else "running"
        if self.state == to:
            expected = "done" if to in self.settled else "illegal"
            self.settled.discard(to)
        else:
            expected, self.state, self.settled = "done", to, set()
        assert self.tell("own", move) == expected
        if self.waiting and self.state == "running":
            self.waiting = False

    @precondition(lambda self: self.alive)
    @rule()
    def the_agent_takes_what_it_was_told(self) -> None:
        taken = self.tell("take")
        self.look()
        assert taken == [self.accepted[request_id] for request_id in self.unread]
        self.unread = []

    @precondition(lambda self: self.alive)
    @rule()
    def the_agent_dies(self) -> None:
        # Its state changes first, and is then written down.
        wait_until(
            lambda: (TaskReader(self.folder).metadata() or {}).get("status") == self.state,
            "the folder to say it",
            timeout_s=TIMEOUT_S,
        )
        self.process.kill()
        self.process.join(TIMEOUT_S)
        self.pipe.close()
        self.alive, self.waiting, self.raised = False, False, False
        self.status = self.state
        if self.wanted is not None:
            # It was met and had not begun: whoever goes on meets it again, first.
            self.pending.insert(0, ("pause", self.wanted))
            self.wanted = None

    @precondition(lambda self: not self.alive and not self.ended)
    @rule()
    def somebody_recovers(self) -> None:
        recover(self.root)
        self.recovered = True
        assert (TaskReader(self.folder).metadata() or {})["status"] == "interrupted"

    @precondition(lambda self: not self.alive)
    @rule()
    def another_process_resumes(self) -> None:
        carrier = self.carrier
        if not self.ended:
            self.start()
            return
        ours, theirs = _processes.Pipe()
        process = _processes.Process(target=control_agent.run, args=(str(self.root), carrier, theirs), daemon=True)
        process.start()
        assert ours.poll(TIMEOUT_S)
        assert ours.recv() == "illegal"
        process.join(TIMEOUT_S)

    @precondition(lambda self: self.alive)
    @rule()
    def the_agent_ends(self) -> None:
        self.tell("end")
        self.process.kill()
        self.process.join(TIMEOUT_S)
        self.alive, self.waiting, self.ended = False, False, True
        found = TaskReader(self.folder).final_result() or {}
        assert found["outcome"] == ("cancelled" if self.raised else "completed")

    # -- what must hold ---------------------------------------------------------------------------------------------------

    @invariant()
    def the_agent_is_where_the_model_is(self) -> None:
        if self.alive:
            expected = (self.state, self.waiting, self.raised)
            wait_until(lambda: self.tell("look") == expected, f"{expected}", timeout_s=TIMEOUT_S)

    def teardown(self) -> None:
        try:
            self.check_the_folder()
        finally:
            self.process.kill()
            self.process.join(TIMEOUT_S)
            shutil.rmtree(self.place, ignore_errors=True)

    def check_the_folder(self) -> None:
        if self.alive:
            self.process.kill()
            self.process.join(TIMEOUT_S)
        recover(self.root)
        assert [str(problem) for problem in validate(self.folder).problems if problem.severity == "error"] == []
        lines = [line for line in TaskReader(self.folder).events() if line.get("component") == "user_interaction"]
        told = [line["details"]["request_id"] for line in lines if line["action"].endswith(("_requested", "_by_user"))]
        assert set(told) == self.met
        assert [line["request_id"] for line in TaskReader(self.folder).control()] == list(self.accepted)


def test_every_interleaving() -> None:
    """Requests in any order, before and after deaths, lead where the model says, and none is lost or met twice."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    run_state_machine_as_test(
        Control, settings=settings(max_examples=25, stateful_step_count=14, deadline=None, suppress_health_check=checks)
    )
