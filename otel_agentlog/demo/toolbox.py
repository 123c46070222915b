"""The agent's tools, each run recorded: what it was asked, what came out, how it failed and was tried again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import otel_agentlog as agentlog
from otel_agentlog.demo import syntax
from otel_agentlog.demo.index import Index
from otel_agentlog.demo.models import ToolUse
from otel_agentlog.demo.pace import Pace
from otel_agentlog.demo.survey import Survey, is_binary, read_start

MOST_BYTES_READ = 8 * 1024
MOST_FILES_LISTED = 500
MOST_ATTEMPTS = 7
FIRST_WAIT_S = 0.05

WORKING_TIME_S = 3.0
"""How long a tool takes with ``--slow``, in seconds."""

DEFINITIONS: tuple[dict[str, Any], ...] = (
    {
        "name": "ListFiles",
        "description": "List the directory's files with their sizes in bytes; the largest, if there are too many.",
        "input_schema": {"type": "object", "properties": {"most": {"type": "integer", "minimum": 1}}},
    },
    {
        "name": "Read",
        "description": f"Read the first {MOST_BYTES_READ} bytes of one listed file.",
        "input_schema": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
    },
    {
        "name": "ReadIndex",
        "description": "Counts over all files: lines, open TODOs, tests.",
        "input_schema": {"type": "object", "properties": {}},
    },
)
"""What the model is told of the tools."""

log = agentlog.get_logger(__name__, agentlog.Component.FILE_OPERATIONS)


class Toolbox:
    """Tools over one directory."""

    def __init__(self, survey: Survey, index: Index, pace: Pace) -> None:
        self._survey, self._index, self._pace = survey, index, pace
        self.counts: dict[str, Any] | None = None
        """What the index said, once it was read."""

    def use(self, asked: ToolUse) -> dict[str, Any]:
        """Run what the model asks for and say what came out, failures too: the model decides what that means."""
        try:
            with agentlog.tool(asked.name, arguments=asked.arguments, call_id=asked.id) as run:
                self._pace.show(WORKING_TIME_S)
                run.result = self._perform(run, asked.name, asked.arguments)
        except (OSError, ValueError) as error:
            log.warning("tool failed", tool=asked.name, error=str(error))
            return {"type": "tool_result", "tool_use_id": asked.id, "content": str(error), "is_error": True}
        return {"type": "tool_result", "tool_use_id": asked.id, "content": json.dumps(run.result, ensure_ascii=False)}

    def read_index(self) -> dict[str, Any]:
        """The counts, for the agent's own use: read now if the model did not ask for them."""
        if self.counts is None:
            with agentlog.tool("ReadIndex") as run:
                run.result = self._read_index(run)
        return self.counts or {}

    def compile(self, copy: syntax.Copy) -> list[str]:
        """Run ``python -m compileall`` on a copy; returns the problems it found. An exit code of 1 is a result, not a failure.

        Raises `OSError` and `subprocess.TimeoutExpired`.
        """
        command = syntax.compile_command(copy)
        with agentlog.tool(
            "compileall",
            arguments={"command": command, "files": len(copy.names)},
            command={"executable_name": "python", "executable_path": command[0]},
            component=agentlog.Component.TERMINAL_INTERACTION,
        ) as run:
            self._pace.show(WORKING_TIME_S)
            completed = syntax.run(command, copy.directory)
            run.exit_code = completed.returncode
            found = syntax.problems(copy, completed.stdout)
            run.result = {"problems": found, "stderr": completed.stderr[-2000:]}
            log.info("sources compiled", files=len(copy.names), problems=len(found))
        return found

    def _perform(self, run: agentlog.ToolRun, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if name == "ListFiles":
            return self._list_files(arguments.get("most"))
        if name == "Read":
            return self._read(str(arguments.get("path", "")))
        if name == "ReadIndex":
            return self._read_index(run)
        raise ValueError(f"no such tool: {name}")

    def _list_files(self, most: object) -> dict[str, Any]:
        wanted = min(most, MOST_FILES_LISTED) if isinstance(most, int) and most > 0 else MOST_FILES_LISTED
        files = self._survey.files if len(self._survey.files) <= wanted else self._survey.largest(wanted)
        listed = [{"path": file.name, "size_bytes": file.size_bytes} for file in files]
        return {"files": listed, "files_in_all": len(self._survey.files), "whole": self._survey.whole}

    def _read(self, name: str) -> dict[str, Any]:
        file = self._survey.find(name)
        data = read_start(file.path, MOST_BYTES_READ)
        log.info("file read", path=name, read_bytes=len(data), size_bytes=file.size_bytes)
        if is_binary(data):
            return {"path": name, "size_bytes": file.size_bytes, "binary": True}
        return {"path": name, "size_bytes": file.size_bytes, "text": data.decode("utf-8", "replace")}

    def _read_index(self, run: agentlog.ToolRun) -> dict[str, Any]:
        """Read the index; it is made once somebody misses it, so the first attempt fails and later ones find it."""
        wait_s = FIRST_WAIT_S
        for _ in range(MOST_ATTEMPTS - 1):
            try:
                self.counts = self._index.read()
            except FileNotFoundError as error:
                run.attempt_failed(error, wait_seconds=wait_s, maximum=MOST_ATTEMPTS)
                self._pace.wait(wait_s)
                wait_s *= 2
            else:
                return self.counts
        self.counts = self._index.read()
        return self.counts
