"""Tools about errors: their kinds, and all about one: where it was raised, what came before, what can be done."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from otel_agentlog.query import ErrorGroup, Filter, FoundError, error_groups, find_errors, row_of
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.store.index.condition import Named, literal
from otel_agentlog.view.backends.wanted import Wanted
from otel_agentlog.view.mcp.context import McpRequest, RefusedQuestion
from otel_agentlog.view.mcp.pages import answer
from otel_agentlog.view.mcp.quoted import Quoted, Tree, identifier, moment, recorded, unquoted
from otel_agentlog.view.mcp.shapes import (
    STATES,
    FilterText,
    LineShape,
    PageAnswer,
    PageArguments,
    TaskName,
    error_tree,
)
from otel_agentlog.view.mcp.tasks import Limit, line_tree
from otel_agentlog.view.render.show.failure import innermost_frame
from otel_agentlog.vocabulary.chunks import joined
from otel_agentlog.vocabulary.coerce import mapping, text, texts
from otel_agentlog.vocabulary.lines import Line

MAX_BEFORE, MAX_TRAIL, MAX_PLACES, MAX_ADVICE = 8, 10, 5, 5


class ErrorsArguments(PageArguments):
    """Arguments of `list_errors`."""

    filter: FilterText = ""
    limit: Limit = 20


class KindShape(BaseModel):
    """Errors of one class whose messages differ in numbers and ids alone."""

    model_config = ConfigDict(extra="forbid")

    count: int
    tasks: Annotated[int, Field(description="In how many tasks.")]
    type: str | None = None
    category: str | None = None
    message: str | None = None
    first_seen: str | None = None
    last_seen: str | None = None
    handled_by_retry: Annotated[bool, Field(description="Later attempts made them good.")]
    error_id: Annotated[str | None, Field(description="Of the newest, for explain_error.")] = None
    task: Annotated[str | None, Field(description="The task of the newest.")] = None


class ErrorKinds(PageAnswer):
    """Kinds of errors, the one seen last first; those that a retry made good behind the others."""

    matching: Annotated[int, Field(description="How many kinds there are.")]
    errors: Annotated[int, Field(description="How many errors.")]
    kinds: list[KindShape]


def list_errors(request: McpRequest, arguments: ErrorsArguments) -> dict[str, Any]:
    """The kinds of errors of the tasks that meet a filter."""
    root, wanted = request.tasks(arguments.filter)
    # Application logs are not below the root.
    found = find_errors(root, (), tasks=wanted if arguments.filter.strip() else None)
    request.go_on()
    groups, question = error_groups(found), arguments.question("list_errors")
    items = (_kind_tree(group) for group in islice(groups, question.offset, None))
    return answer(question, {"matching": len(groups), "errors": len(found)}, "kinds", items)


def _kind_tree(group: ErrorGroup) -> Tree:
    return {
        "count": len(group.errors),
        "tasks": len(group.task_ids),
        **error_tree(group.newest.exception),
        "first_seen": moment(group.errors[-1].line.get("timestamp")),
        "last_seen": moment(group.newest.line.get("timestamp")),
        "handled_by_retry": group.handled_by_retry,
        "error_id": identifier(group.newest.error_id),
        "task": identifier(group.newest.task_id),
    }


class ExplainArguments(PageArguments):
    """Arguments of `explain_error`."""

    error_id: Annotated[str | None, Field(max_length=100, description="Of list_errors or show_task; or give `task`.")] = None
    task: Annotated[TaskName | None, Field(description="The error with which this task ended, or its newest one.")] = None


class PlaceOfError(BaseModel):
    """Where an error was raised."""

    task: str | None = None
    name: str | None = None
    status: str | None = None
    step_id: str | None = None
    span_id: Annotated[str | None, Field(description="`part` of read_log.")] = None
    component: str | None = None
    action: str | None = None
    at: str | None = None


class AlikeShape(BaseModel):
    """How often errors of its kind were seen."""

    count: int
    tasks: int
    first_seen: str | None = None
    last_seen: str | None = None
    other_tasks: list[str]


class ExplainedError(PageAnswer):
    """One error."""

    error_id: str | None = None
    type: str | None = None
    message: str | None = None
    category: str | None = None
    where: PlaceOfError
    raised_at: Annotated[str | None, Field(description="The innermost frame.")] = None
    advice: Annotated[list[str] | None, Field(description="What can be done about errors of this category.")] = None
    context: str | None = None
    traceback: str | None = None
    handling: Annotated[list[LineShape] | None, Field(description="What was tried about it.")] = None
    handled_by_retry: bool
    alike: AlikeShape
    before: Annotated[list[LineShape], Field(description="The lines of the task before it, the last ones.")]


def explain_error(request: McpRequest, arguments: ExplainArguments) -> dict[str, Any]:
    """All about one error."""
    if (arguments.error_id is None) == (arguments.task is None):
        raise RefusedQuestion("expected one of error_id and task")
    found = _of_task(request, arguments.task) if arguments.task is not None else _of_id(request, arguments.error_id or "")
    request.go_on()
    every = find_errors(found.file.parent.parent, ())
    group = next((each for each in error_groups(every) if any(one.error_id == found.error_id for one in each.errors)), None)
    question = arguments.question("explain_error")
    before = _before(request, found)
    return answer(question, _head(found, group), "before", islice(map(line_tree, before), question.offset, None))


def _of_id(request: McpRequest, error_id: str) -> FoundError:
    wanted = unquoted(error_id.strip())
    root = request.context.root_of(Wanted(error_id=wanted))
    found = find_errors(root, (), error_id=wanted)
    if not found:
        raise RefusedQuestion("error_id: expected the id of an error in the folders, found none such; list_errors has the ids")
    return found[0]


def _of_task(request: McpRequest, name: str) -> FoundError:
    task = request.task(name)
    row = row_of(task)
    ended_with = text(row.error or {}, "error_id")
    root = task.folder.parent
    found = find_errors(root, (), error_id=ended_with) if ended_with else []
    here = [each for each in found if each.file.parent == task.folder] or found
    if here:
        return here[0]
    of_task = find_errors(root, (), tasks=Filter(condition=Named("id", (literal(row.task_id),))))
    of_task = [each for each in of_task if each.file.parent == task.folder]
    if not of_task:
        raise RefusedQuestion(f"task: expected one with an error, found none in it; its status is {_status(row.status)}")
    return min(of_task, key=lambda each: each.handled_by_retry)


def _status(status: str) -> str:
    return status if status in STATES else "unknown"


def _before(request: McpRequest, found: FoundError) -> Iterable[Line]:
    """The lines of the task before the first one that names the error."""
    kept: deque[Line] = deque(maxlen=MAX_BEFORE)
    for line in joined(TaskReader(found.file.parent).events()):
        request.go_on()
        if found.error_id in (mapping(line, "exception").get("error_id"), mapping(line, "details").get("error_id")):
            break
        kept.append(line)
    return kept


def _head(found: FoundError, group: ErrorGroup | None) -> Tree:
    exception, traceback = found.exception, texts(found.exception, "traceback")
    return {
        **error_tree(exception, 2_000),
        "error_id": identifier(found.error_id),
        "where": _where(found),
        "raised_at": recorded(innermost_frame(traceback), 300),
        "advice": [Quoted(each, 300) for each in texts(exception, "suggestions")[:MAX_ADVICE]] or None,
        "context": recorded(exception.get("context"), 500),
        # The end of it is where it was raised.
        "traceback": recorded("\n".join(traceback)[-3_000:], 3_000),
        "handling": [line_tree(line) for line in found.trail[:MAX_TRAIL]] or None,
        "handled_by_retry": found.handled_by_retry,
        "alike": _alike(found, group),
    }


def _where(found: FoundError) -> Tree:
    row, line = row_of(TaskReader(found.file.parent)), found.line
    return {
        "task": identifier(found.file.parent.name),
        "name": recorded(row.name, 200),
        "status": _status(row.status),
        "step_id": identifier(text(line, "step_id")),
        "span_id": identifier(text(line, "span_id")),
        "component": recorded(text(line, "component"), 60),
        "action": recorded(text(line, "action"), 60),
        "at": moment(text(line, "timestamp")),
    }


def _alike(found: FoundError, group: ErrorGroup | None) -> Tree:
    if group is None:
        return {"count": 1, "tasks": 1, "other_tasks": []}
    others = [each for each in group.task_ids if each != found.task_id]
    return {
        "count": len(group.errors),
        "tasks": len(group.task_ids),
        "first_seen": moment(group.errors[-1].line.get("timestamp")),
        "last_seen": moment(group.newest.line.get("timestamp")),
        "other_tasks": [identifier(each) for each in others[:MAX_PLACES]],
    }
