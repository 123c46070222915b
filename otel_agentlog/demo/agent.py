"""The reviewer: what it does step by step, and what it does when a step fails."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import otel_agentlog as agentlog
from otel_agentlog.demo import syntax
from otel_agentlog.demo.index import Index
from otel_agentlog.demo.job import Job
from otel_agentlog.demo.models import Model
from otel_agentlog.demo.pace import Pace
from otel_agentlog.demo.survey import look_at, printable
from otel_agentlog.demo.talk import Talk
from otel_agentlog.demo.toolbox import WORKING_TIME_S, Toolbox

LARGEST = 5

log = agentlog.get_logger(__name__, agentlog.Component.AGENT)


class Reviewer:
    """Reviews one directory and never writes into it."""

    def __init__(self, job: Job, model: Model, scratch: str, logs: str) -> None:
        """``scratch`` is a directory of its own; ``logs``, where the task folders are, is not part of what is reviewed."""
        self._job, self._scratch = job, scratch
        self._pace = Pace(job.slow)
        self._talk = Talk(model)
        self._survey = look_at(job.path, besides=logs)
        self._tools = Toolbox(self._survey, Index(self._survey, scratch), self._pace)
        self._facts: dict[str, Any] = {
            "directory": os.path.basename(printable(job.path)) or "/",
            "files": len(self._survey.files),
            "directories": self._survey.directories,
            "size_bytes": self._survey.size_bytes,
            "largest": [{"path": file.name, "size_bytes": file.size_bytes} for file in self._survey.largest(LARGEST)],
            "links": self._survey.links,
            "special": self._survey.special,
            "unreadable": self._survey.unreadable,
            "whole": self._survey.whole,
        }

    def run(self, task: agentlog.Task) -> str:
        """The review, as Markdown."""
        task.user(self._job.message)
        self._plan(task)
        self._look_around(task)
        self._listen(task)
        self._check_syntax()
        self._listen(task)
        self._have_tests_summarised()
        self._compare_with_last_review()
        self._listen(task)
        self._weigh(task)
        self._listen(task)
        return self._report(task)

    def _listen(self, task: agentlog.Task) -> None:
        """Where the user may pause or stop the agent, and is heard: what they add goes into everything asked from here on."""
        task.checkpoint()
        for text in task.new_context():
            task.output(f"Noted: {text}")
        if task.context:
            self._facts["user_added"] = task.context

    def _plan(self, task: agentlog.Task) -> None:
        with agentlog.step("plan", plan=True):
            self._talk.ask(task, self._prompt(f"Make a plan for this request: {self._job.message}"))

    def _look_around(self, task: agentlog.Task) -> None:
        with agentlog.step("look around"):
            log.info("directory surveyed", files=len(self._survey.files), whole=self._survey.whole)
            self._talk.explore(
                task, "Look around in the directory. Read what tells most, then the index.", self._tools, self._listen
            )
            counts = self._tools.read_index()
            self._facts.update(counts, unreadable=self._survey.unreadable + counts.get("unreadable", 0))

    def _check_syntax(self) -> None:
        with agentlog.step("check syntax"):
            self._pace.show(WORKING_TIME_S)
            copy = syntax.copy_sources(self._survey, self._scratch)
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
            subtask.result = self._talk.ask(subtask, _with_facts("Summarise the tests in a sentence.", given))
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
        try:
            with agentlog.step("compare with the last review"), agentlog.task("Find the last review", agent="historian") as found:
                found.result = self._read_last_review()
        except FileNotFoundError as error:
            log.warning("no last review, going on without", path=error.filename)

    def _read_last_review(self) -> str:
        path = os.path.join(self._scratch, "last-review.md")
        with agentlog.tool("Read", arguments={"path": path}) as run:
            self._pace.show(WORKING_TIME_S)
            with open(path, encoding="utf-8") as file:
                run.result = text = file.read()
        return text

    def _weigh(self, task: agentlog.Task) -> None:
        with agentlog.step("weigh the findings"):
            self._facts["assessment"] = self._talk.stream(task, self._prompt("Weigh these findings in three sentences."))

    def _report(self, task: agentlog.Task) -> str:
        with agentlog.step("write the report"):
            return self._talk.ask(task, self._prompt("Write the report, as short Markdown, from these facts."))

    def _prompt(self, instruction: str) -> str:
        return _with_facts(instruction, self._facts)


def _with_facts(instruction: str, facts: dict[str, Any]) -> str:
    return f"{instruction}\n\n```json\n{json.dumps(facts, ensure_ascii=False)}\n```"
