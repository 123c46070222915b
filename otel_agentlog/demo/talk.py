"""The agent's conversation with its model: plain, streaming, and the loop that runs the tools the model asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import otel_agentlog as agentlog
from otel_agentlog.demo.models import Model, Reply
from otel_agentlog.demo.toolbox import DEFINITIONS, Toolbox

MOST_TURNS = 8
"""Answers of the model after which the loop stops, whatever it still asks for."""

SYSTEM = "You review a directory of files. Be short, be exact, and use only what you were told or what the tools returned."

log = agentlog.get_logger(__name__, agentlog.Component.AI_SERVICE)


class Talk:
    """Asks one model; every request is one recorded AI call."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def ask(self, task: agentlog.Task, prompt: str) -> str:
        """One question, one answer."""
        reply = self._turn([{"role": "user", "content": prompt}])
        _tell(task, reply)
        return reply.text

    def stream(self, task: agentlog.Task, prompt: str) -> str:
        """The same, taking the answer piece by piece."""
        request = self._model.request(SYSTEM, [{"role": "user", "content": prompt}])
        with self._call(request, stream=True) as call:
            text = "".join(self._model.piece(event) for event in call.stream(self._model.open_stream(request)))
        task.output(text)
        return text

    def explore(self, task: agentlog.Task, prompt: str, toolbox: Toolbox, listen: Callable[[agentlog.Task], None]) -> str:
        """Ask, run the tools that the answer asks for, tell what came out, and so on until it asks for none.

        Before each turn it listens to the user.
        """
        messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
        for _ in range(MOST_TURNS):
            listen(task)
            reply = self._turn(messages, DEFINITIONS)
            _tell(task, reply)
            if not reply.tools:
                return reply.text
            results = [toolbox.use(asked) for asked in reply.tools]
            messages += [{"role": "assistant", "content": reply.content}, {"role": "user", "content": results}]
        log.warning("the model did not come to an end", turns=MOST_TURNS)
        return ""

    def _turn(self, messages: Sequence[dict[str, Any]], tools: Sequence[dict[str, Any]] = ()) -> Reply:
        request = self._model.request(SYSTEM, messages, tools)
        with self._call(request) as call:
            response = self._model.send(request)
            call.record(response)
        reply = self._model.reply(response)
        log.info("model answered", asks_for=[asked.name for asked in reply.tools])
        return reply

    def _call(self, request: dict[str, Any], stream: bool = False) -> agentlog.AiCall:
        limits = {key: request[key] for key in ("max_tokens", "max_completion_tokens") if key in request}
        return agentlog.ai_call(
            self._model.name,
            provider=self._model.provider,
            messages=request["messages"],
            system=request.get("system"),
            tools=request.get("tools"),
            stream=stream,
            **limits,
        )


def _tell(task: agentlog.Task, reply: Reply) -> None:
    if reply.thinking:
        task.thinking(reply.thinking)
    if reply.text:
        task.output(reply.text)
