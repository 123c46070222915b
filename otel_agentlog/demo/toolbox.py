"""The agent's tools, each run recorded: arguments, result, failure, attempts."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from typing import Any

import otel_agentlog as agentlog
from otel_agentlog.demo.job import Pace, read_json, write_json
from otel_agentlog.demo.models import ToolUse
from otel_agentlog.demo.survey import Copy, Survey, compile_sources, count, is_binary, problems, read_start

MOST_BYTES_READ = 8 * 1024
MOST_FILES_LISTED = 500
MOST_ATTEMPTS = 7
FIRST_WAIT_S = 0.05
WORKING_TIME_S = 3.0
"""How long a tool takes with ``--slow``, in seconds."""


def _definition(name: str, description: str, **properties: Any) -> dict[str, Any]:
    required = [key for key, schema in properties.items() if schema["type"] == "string"]
    schema = {"type": "object", "properties": properties, **({"required": required} if required else {})}
    return {"name": name, "description": description, "input_schema": schema}


DEFINITIONS = (
    _definition(
        "ListFiles",
        "List the directory's files with their sizes in bytes; the largest, if there are too many.",
        most={"type": "integer", "minimum": 1},
    ),
    _definition("Read", f"Read the first {MOST_BYTES_READ} bytes of one listed file.", path={"type": "string"}),
    _definition("ReadIndex", "Counts over all files: lines, open TODOs, tests."),
)
"""The tools, as a request describes them to the model."""

log = agentlog.get_logger(__name__, agentlog.Component.FILE_OPERATIONS)


class Toolbox:
    """Tools over one directory."""

    def __init__(self, survey: Survey, scratch: str, pace: Pace) -> None:
        self._survey, self._index, self._pace = survey, Index(survey, scratch), pace
        self._counts: dict[str, Any] | None = None

    def use(self, requested: ToolUse) -> dict[str, Any]:
        """Run what the model requests; returns a block ``tool_result``, for a failure too."""
        output = {"type": "tool_result", "tool_use_id": requested.id}
        try:
            with agentlog.tool(requested.name, arguments=requested.arguments, call_id=requested.id) as run:
                self._pace.show(WORKING_TIME_S)
                run.result = self._perform(run, requested.name, requested.arguments)
        except (OSError, ValueError) as error:
            log.warning("tool failed", tool=requested.name, error=str(error))
            return {**output, "content": str(error), "is_error": True}
        return {**output, "content": json.dumps(run.result, ensure_ascii=False)}

    def read_index(self) -> dict[str, Any]:
        """The counts, for the agent's own use: read now if the model did not request them."""
        if self._counts is None:
            with agentlog.tool("ReadIndex") as run:
                run.result = self._read_index(run)
        return self._counts or {}

    def compile(self, copy: Copy) -> list[str]:
        """Run ``python -m compileall`` on a copy; returns the problems it found. An exit code of 1 is a result, not a failure.

        Raises `OSError` and `subprocess.TimeoutExpired`.
        """
        with agentlog.tool(
            "compileall",
            arguments={"command": copy.command, "files": len(copy.names)},
            command={"executable_name": "python", "executable_path": copy.command[0]},
            component=agentlog.Component.TERMINAL_INTERACTION,
        ) as run:
            self._pace.show(WORKING_TIME_S)
            completed = compile_sources(copy)
            run.exit_code = completed.returncode
            found = problems(copy, completed.stdout)
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
        listed = [file.listed() for file in files]
        return {"files": listed, "files_in_all": len(self._survey.files), "whole": self._survey.whole}

    def _read(self, name: str) -> dict[str, Any]:
        file = self._survey.find(name)
        data = read_start(file.path, MOST_BYTES_READ)
        log.info("file read", path=name, read_bytes=len(data), size_bytes=file.size_bytes)
        return {**file.listed(), **({"binary": True} if is_binary(data) else {"text": data.decode("utf-8", "replace")})}

    def _read_index(self, run: agentlog.ToolRun) -> dict[str, Any]:
        """The index is made once a read has missed it: the first attempt fails, a later one succeeds."""
        for attempt in range(MOST_ATTEMPTS):
            try:
                self._counts = self._index.read()
                break
            except FileNotFoundError as error:
                if attempt == MOST_ATTEMPTS - 1:
                    raise
                wait_s = FIRST_WAIT_S * 2**attempt
                run.attempt_failed(error, wait_seconds=wait_s, maximum=MOST_ATTEMPTS)
                self._pace.wait(wait_s)
        return self._counts or {}


class Index:
    """Counts over the directory's texts, as a JSON file in the scratch directory, and the thread that makes it."""

    def __init__(self, survey: Survey, scratch: str) -> None:
        self._survey, self._scratch = survey, scratch
        self._maker: threading.Thread | None = None

    def read(self) -> dict[str, Any]:
        """The index. The first call finds none and starts the thread.

        Raises:
            FileNotFoundError: it is not there yet.
        """
        try:
            return read_json(self._scratch, "index.json")
        except FileNotFoundError:
            if self._maker is None:
                self._maker = threading.Thread(target=self._make, name="indexer", daemon=True)
                self._maker.start()
            raise

    def _make(self) -> None:
        write_json(self._scratch, "index.json.tmp", count(self._survey))
        os.replace(os.path.join(self._scratch, "index.json.tmp"), os.path.join(self._scratch, "index.json"))
