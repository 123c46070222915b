"""The reviewer: its steps, its AI calls, and what it does when a step fails."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from typing import Any

import otel_agentlog as agentlog
from otel_agentlog.demo.job import Job, Pace
from otel_agentlog.demo.models import MessagesModel, Reply
from otel_agentlog.demo.survey import copy_sources, printable, take_survey
from otel_agentlog.demo.toolbox import DEFINITIONS, WORKING_TIME_S, Toolbox

MOST_TURNS = 8
"""Responses of the model after which the loop around its tools ends, even if it requests more."""

SYSTEM = "You review a directory of files. Be short, be exact, and use only what you were told or what the tools returned."

log = agentlog.get_logger(__name__, agentlog.Component.AGENT)
ai_log = agentlog.get_logger(__name__, agentlog.Component.AI_SERVICE)


class Reviewer:
    """Reviews one directory and never writes into it."""

    def __init__(self, job: Job, model: MessagesModel, scratch: str, logs: str) -> None:
        """``scratch`` is a directory of its own; ``logs``, where the task folders are, is left out of the review."""
        self._job, self._model, self._scratch = job, model, scratch
        self._pace = Pace(job.slow)
        self._survey = survey = take_survey(job.path, besides=logs)
        self._tools = Toolbox(survey, scratch, self._pace)
        self._facts: dict[str, Any] = {
            "directory": os.path.basename(printable(job.path)) or "/",
            "files": len(survey.files),
            "directories": survey.directories,
            "size_bytes": sum(file.size_bytes for file in survey.files),
            "largest": [file.listed() for file in survey.largest(5)],
            "links": survey.links,
            "special": survey.special,
            "unreadable": survey.unreadable,
            "whole": survey.whole,
        }

    def run(self, task: agentlog.Task) -> str:
        """The review, as Markdown."""
        task.user(self._job.message)
        with agentlog.step("plan", plan=True):
            self._ask(task, f"Make a plan for this request: {self._job.message}")
        self._survey_directory(task)
        self._listen(task)
        self._check_syntax()
        self._listen(task)
        self._have_tests_summarised()
        self._compare_with_last_review()
        self._listen(task)
        with agentlog.step("weigh the findings"):
            self._facts["assessment"] = self._stream(task, "Weigh these findings in three sentences.")
        self._listen(task)
        with agentlog.step("write the report"):
            return self._ask(task, "Write the report, as short Markdown, from these facts.")

    def _listen(self, task: agentlog.Task) -> None:
        """Where the user may pause or stop the agent; what they add becomes part of every later prompt."""
        task.checkpoint()
        for text in task.new_context():
            task.output(f"Noted: {text}")
        if task.context:
            self._facts["user_added"] = task.context

    def _survey_directory(self, task: agentlog.Task) -> None:
        """The loop around tools: the model requests some, they run, it gets their outputs, until it requests none."""
        with agentlog.step("look around"):
            log.info("directory surveyed", files=len(self._survey.files), whole=self._survey.whole)
            conversation = [_user("Look around in the directory. Read what tells most, then the index.")]
            for _ in range(MOST_TURNS):
                self._listen(task)
                reply = self._turn(task, conversation, DEFINITIONS)
                if not reply.tools:
                    break
                conversation += self._model.outputs([self._tools.use(requested) for requested in reply.tools])
            else:
                ai_log.warning("the model did not come to an end", turns=MOST_TURNS)
            counts = self._tools.read_index()
            self._facts.update(counts, unreadable=self._survey.unreadable + counts.get("unreadable", 0))

    def _check_syntax(self) -> None:
        with agentlog.step("check syntax"):
            self._pace.show(WORKING_TIME_S)
            copy = copy_sources(self._survey, self._scratch)
            self._facts.update(sources_compiled=len(copy.names), sources_left_out=copy.left_out, syntax_problems=[])
            try:
                self._facts["syntax_problems"] = self._tools.compile(copy)
            except (OSError, subprocess.SubprocessError):
                log.exception("syntax not checked")
                self._facts.update(sources_compiled=0, sources_left_out=copy.left_out + len(copy.names))

    def _have_tests_summarised(self) -> None:
        """A task inside a task: it has a folder of its own, in the same trace."""
        given = {key: self._facts.get(key) for key in ("tests", "test_files")}
        with (
            agentlog.step("summarise tests"),
            agentlog.task("Summarise the tests", agent="test-summariser", input=given) as subtask,
        ):
            names = self._find_tests()
            subtask.result = self._ask(subtask, "Summarise the tests in a sentence.", given)
            log.info("tests summarised", test_files=len(names))
        self._facts["tests_summary"] = subtask.result

    @agentlog.tool("FindTests")
    def _find_tests(self) -> list[str]:
        """As a decorator, a tool run records arguments and result by itself."""
        self._pace.show(WORKING_TIME_S)
        names = [file.name for file in self._survey.files]
        return [name for name in names if os.path.basename(name).startswith("test_") or "/tests/" in f"/{name}"][:100]

    def _compare_with_last_review(self) -> None:
        """This fails, as there is no last review. The error is recorded where it arises, and the task goes on."""
        path = os.path.join(self._scratch, "last-review.md")
        try:
            with (
                agentlog.step("compare with the last review"),
                agentlog.task("Find the last review", agent="historian") as found,
                agentlog.tool("Read", arguments={"path": path}) as run,
            ):
                self._pace.show(WORKING_TIME_S)
                with open(path, encoding="utf-8") as file:
                    found.result = run.result = file.read()
        except FileNotFoundError as error:
            log.warning("no last review, going on without", path=error.filename)

    def _turn(self, task: agentlog.Task, conversation: list[dict[str, Any]], tools: Sequence[dict[str, Any]] = ()) -> Reply:
        """Send the conversation, and add the reply to it."""
        request = self._model.request(SYSTEM, conversation, tools)
        with self._call(request) as call:
            response = self._model.send(request)
            call.record(response)
        reply = self._model.reply(response)
        conversation.append(reply.message)
        ai_log.info("model answered", asks_for=[requested.name for requested in reply.tools])
        if reply.thinking:
            task.thinking(reply.thinking)
        if reply.text:
            task.output(reply.text)
        return reply

    def _ask(self, task: agentlog.Task, instruction: str, facts: dict[str, Any] | None = None) -> str:
        """One question about some facts, or all, and its answer."""
        return self._turn(task, [_question(instruction, facts or self._facts)]).text

    def _stream(self, task: agentlog.Task, instruction: str) -> str:
        """One question, its answer read piece by piece."""
        request = self._model.request(SYSTEM, [_question(instruction, self._facts)])
        with self._call(request, stream=True) as call:
            text = "".join(self._model.piece(event) for event in call.stream(self._model.open_stream(request)))
        task.output(text)
        return text

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


def _question(instruction: str, facts: dict[str, Any]) -> dict[str, Any]:
    return _user(f"{instruction}\n\n```json\n{json.dumps(facts, ensure_ascii=False)}\n```")


def _user(prompt: str) -> dict[str, Any]:
    return {"role": "user", "content": prompt}
