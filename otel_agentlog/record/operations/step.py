"""Steps: named parts of a task, nested at will."""

from __future__ import annotations

import re
from itertools import count
from typing import Any

from opentelemetry.context import Context

from otel_agentlog.record.operations.context import OperationScope
from otel_agentlog.record.operations.operation import Operation
from otel_agentlog.record.sanitize.keys import is_true, plain_text
from otel_agentlog.vocabulary.actions import STEP
from otel_agentlog.vocabulary.states import Outcome

_NOT_IN_IDS = re.compile(r"[^a-z0-9._-]+")


class Step(Operation):
    """A named part of a task."""

    kind = STEP

    def __init__(self, name: str, *, step_id: str | None = None, plan: bool = False, **common: Any) -> None:
        super().__init__(name, **common)
        self._given_id, self._common = step_id, common
        self._plan = plan if type(plan) is bool else is_true(plan)
        self._details: dict[str, Any] = {}

    def _copy(self) -> Step:
        return Step(self.name, step_id=self._given_id, plan=self._plan, **self._common)

    def _settle(self, context: Context, around: OperationScope | None) -> Context:
        if around is not None:
            self.task, self.step_id = around.task, around.step_id
        self._details = {"plan": True} if self._plan else {}
        agent = around.task.header.get("assigned_agent") if around is not None and around.task is not None else None
        if self._plan and agent:
            self._details["agent"] = agent
        if around is not None and around.step_id is not None:
            self._details["parent_step_id"] = around.step_id
        # The id is made from the name as it may be shown: a secret in a name must not live on in an id.
        given = self.name if self._given_id is None else self._given_id
        wanted = self._recorder.clean_text(given if type(given) is str else plain_text(given))
        self.step_id = (wanted if self._given_id is not None else _NOT_IN_IDS.sub("-", wanted.lower()).strip("-"))[:128] or "step"
        if self.task is not None:
            # Taken by code in C: steps of other threads begin at the same time.
            number = next(self.task.step_counts.setdefault(self.step_id, count(1)))
            self._details["index"] = next(self.task.step_numbers)
            if number > 1 and self._given_id is None:
                self.step_id = f"{self.step_id}-{number}"
        return context

    def _start_fields(self) -> dict[str, Any]:
        return {"details": dict(self._details)}

    def _end_fields(self, outcome: Outcome) -> dict[str, Any]:
        return {"details": dict(self._details)}
