"""Steps: named parts of a task, nested at will."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import count
from typing import Any

from opentelemetry.context import Context

from otel_agentlog.record.operations.context import OperationScope
from otel_agentlog.record.operations.operation import Operation
from otel_agentlog.record.sanitize.keys import is_true, plain_text
from otel_agentlog.vocabulary.actions import STEP
from otel_agentlog.vocabulary.states import Outcome

_NOT_IN_IDS = re.compile(r"[^a-z0-9._-]+")


@lru_cache(maxsize=1024)
def _id_of(name: str) -> str:
    """The id of a step of this name."""
    return _NOT_IN_IDS.sub("-", name.lower()).strip("-")[:128] or "step"


class Step(Operation):
    """A named part of a task."""

    kind = STEP
    _details: dict[str, Any]

    def __init__(self, name: str, *, step_id: str | None = None, plan: bool = False, **common: Any) -> None:
        super().__init__(name, **common)
        self._given_id, self._common = step_id, common
        self._plan = plan if type(plan) is bool else is_true(plan)

    def _copy(self) -> Step:
        return Step(self.name, step_id=self._given_id, plan=self._plan, **self._common)

    def _settle(self, context: Context, around: OperationScope | None) -> Context:
        if around is not None:
            self.task, self.step_id = around.task, around.step_id
        details = self._details = {"plan": True} if self._plan else {}
        if self._plan and self.task is not None and (agent := self.task.header.get("assigned_agent")):
            details["agent"] = agent
        if self.step_id is not None:
            details["parent_step_id"] = self.step_id
        # The id is made from the name as it may be shown: a secret in a name must not live on in an id.
        if self._given_id is None:
            self.step_id = _id_of(self._recorder.clean_text(self._name))
        else:
            self.step_id = self._recorder.clean_text(plain_text(self._given_id))[:128] or "step"
        if self.task is not None:
            # Taken by code in C: steps of other threads begin at the same time.
            index = details["index"] = next(self.task.step_numbers)
            if self.task.step_ids.setdefault(self.step_id, index) != index:
                number = next(self.task.repeated_steps.setdefault(self.step_id, count(2)))
                if self._given_id is None:
                    self.step_id = f"{self.step_id}-{number}"
        return context

    def _start_fields(self) -> dict[str, Any]:
        return {"details": self._details}

    def _end_fields(self, outcome: Outcome) -> dict[str, Any]:
        return {"details": self._details.copy()}
