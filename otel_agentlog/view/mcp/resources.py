"""Resources: tasks and the files of their folders, by URIs.

    agentlog://tasks                            the newest tasks
    agentlog://task/ID                          one task, as `show_task` has it
    agentlog://task/ID/agent-output{?after}     a file of its folder: what the record has, quoted, in pieces

A URI names a task by its id; no path is made of it (`query.named`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from mcp.types import Resource, ResourceTemplate

from otel_agentlog.query import Filter, search
from otel_agentlog.store.folder.layout import AGENT_OUTPUT, CONTROL, FINAL_RESULT, INPUT, METADATA, WEBHOOK_FLOW
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.backends.wanted import Wanted
from otel_agentlog.view.mcp.context import McpRequest, RefusedQuestion
from otel_agentlog.view.mcp.pages import DEFAULT_BYTES, encoded
from otel_agentlog.view.mcp.quoted import NOTICE, quoted
from otel_agentlog.view.mcp.tasks import ListArguments, ShowArguments, list_tasks, show_task

SCHEME = "agentlog"
LISTED = 50
"""Tasks on one page of the list of resources."""

_DOCUMENTS = {"metadata": METADATA, "input": INPUT, "final-result": FINAL_RESULT}
_LINES = {"agent-output": AGENT_OUTPUT, "webhook-flow": WEBHOOK_FLOW, "control": CONTROL}
_PATH = re.compile(r"/(?P<task>[^/]+)(?:/(?P<file>[a-z-]+))?")
_LINE_CHARACTERS = 2_000
JSON, TEXT = "application/json", "text/plain"

TEMPLATES = (
    ResourceTemplate(
        name="task",
        title="A task",
        uri_template=f"{SCHEME}://task/{{id}}",
        description="One task: what was asked, what happened, how it ended.",
        mime_type=JSON,
    ),
    *(
        ResourceTemplate(
            name=file,
            title=name,
            uri_template=f"{SCHEME}://task/{{id}}/{file}" + ("{?after}" if file in _LINES else ""),
            description=f"The file {name} of a task's folder, as quoted text" + (", in pieces." if file in _LINES else "."),
            mime_type=TEXT,
        )
        for file, name in (*_DOCUMENTS.items(), *_LINES.items())
    ),
)


def listed(request: McpRequest, offset: int) -> tuple[list[Resource], int | None]:
    """Some of the tasks as resources, the newest first, and from where on there are more."""
    root = request.context.root_of(Wanted())
    found = search(root, Filter(), limit=LISTED + 1, offset=offset, progress=request.go_on)
    every = [] if offset else [Resource(uri=f"{SCHEME}://tasks", name="tasks", title="The newest tasks", mime_type=JSON)]
    for row in found.rows[:LISTED]:
        every.append(
            Resource(
                uri=f"{SCHEME}://task/{quote(row.folder.name, safe='')}",
                name=quoted(row.folder.name, 130),
                title=quoted(row.name, 120),
                description=f"One task. {NOTICE}",
                mime_type=JSON,
            )
        )
    return every, offset + LISTED if len(found.rows) > LISTED else None


def read(request: McpRequest, uri: str) -> tuple[str, str]:
    """The text of a resource, and its media type.

    Raises:
        RefusedQuestion: there is none of that URI.
    """
    parts = urlsplit(uri)
    if parts.scheme != SCHEME or parts.fragment or len(uri) > 2_000:
        raise RefusedQuestion(f"uri: expected one that begins with {SCHEME}://")
    if parts.netloc == "tasks" and parts.path in ("", "/") and not parts.query:
        return encoded(list_tasks(request, ListArguments())), JSON
    match = _PATH.fullmatch(parts.path)
    if parts.netloc != "task" or match is None:
        raise RefusedQuestion(f"uri: expected {SCHEME}://tasks, {SCHEME}://task/ID or {SCHEME}://task/ID/FILE")
    name = unquote(match["task"])
    if match["file"] is None:
        return encoded(show_task(request, ShowArguments(task=name))), JSON
    return _file(
        request.task(name), match["file"], _after(parts.query, match["file"]), uri.partition("?")[0], request.go_on
    ), TEXT


def _after(query: str, file: str) -> int:
    given = parse_qsl(query, keep_blank_values=True)
    if not given:
        return 0
    [(key, value), *more] = given
    if more or key != "after" or file not in _LINES or not value.isascii() or not value.isdigit() or len(value) > 15:
        raise RefusedQuestion("uri: expected no query but after=N, the number of the line to begin with")
    return int(value)


def _file(task: TaskReader, file: str, after: int, uri: str, go_on: Callable[[], None]) -> str:
    if file in _DOCUMENTS:
        document = task.document(_DOCUMENTS[file])
        if document is None:
            raise RefusedQuestion(f"uri: expected a file {_DOCUMENTS[file]} that can be read, found none")
        return f"{NOTICE}\n{quoted(document, DEFAULT_BYTES)}\n"
    if file not in _LINES:
        raise RefusedQuestion(f"uri: expected one of {', '.join((*_DOCUMENTS, *_LINES))} behind the id")
    return _piece(islice(task.lines(_LINES[file]), after, None), after, uri, go_on)


def _piece(lines: Iterator[Any], after: int, uri: str, go_on: Callable[[], None]) -> str:
    shown: list[str] = []
    room, end = DEFAULT_BYTES, ""
    for line in lines:
        go_on()
        text = quoted(line, _LINE_CHARACTERS)
        room -= len(text.encode()) + 1
        if shown and room < 0:
            end = f"More lines: {uri}?after={after + len(shown)}\n"
            break
        shown.append(text)
    return "\n".join([NOTICE, *shown, end])
