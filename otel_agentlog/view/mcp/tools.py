"""The tools: name, what they are for, arguments and answer of each, and the function that answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcp.types import Tool, ToolAnnotations
from pydantic import BaseModel

from otel_agentlog._startup import dataclass
from otel_agentlog.view.mcp import comparison, errors, figures, notes, tasks
from otel_agentlog.view.mcp.context import McpRequest


@dataclass(frozen=True, slots=True)
class AgentlogTool:
    """One tool."""

    name: str
    title: str
    description: str
    arguments: type[BaseModel]
    answer: type[BaseModel]
    run: Callable[[McpRequest, Any], dict[str, Any]]
    """Answers with the arguments, in a thread of its own; raises `AgentlogError` with a message for the client."""
    writes: bool = False

    def described(self) -> Tool:
        """The tool as clients see it in the list."""
        return Tool(
            name=self.name,
            title=self.title,
            description=self.description,
            input_schema=self.arguments.model_json_schema(),
            # Of what is read: what has a default may be missing.
            output_schema=self.answer.model_json_schema(mode="validation"),
            annotations=ToolAnnotations(
                title=self.title,
                read_only_hint=not self.writes,
                destructive_hint=False,
                idempotent_hint=not self.writes,
                open_world_hint=False,
            ),
        )


TOOLS = (
    AgentlogTool(
        "list_tasks",
        "List tasks",
        "Tasks that agents were asked to do, with status, cost, tokens and error of each; chosen by a filter. Begin here.",
        tasks.ListArguments,
        tasks.FoundTaskList,
        tasks.list_tasks,
    ),
    AgentlogTool(
        "search",
        "Search in tasks",
        "Tasks whose names, input, output, messages, errors or ids have given words, and the places where they stand.",
        tasks.SearchArguments,
        tasks.FoundTasks,
        tasks.search_tasks,
    ),
    AgentlogTool(
        "show_task",
        "Show a task",
        "One task: what was asked, how it ended, notes and scores, and its steps, AI calls and tool runs as a tree with"
        " durations, cost and errors.",
        tasks.ShowArguments,
        tasks.ShownTask,
        tasks.show_task,
    ),
    AgentlogTool(
        "read_log",
        "Read a task's lines",
        "What a task or one part of it said and did, line by line: output, thinking, log lines, messages of AI calls, arguments"
        " and results of tools. `whole` with `part` shows all of one AI call or tool run.",
        tasks.LogArguments,
        tasks.LogPage,
        tasks.read_log,
    ),
    AgentlogTool(
        "compare_tasks",
        "Compare two tasks",
        "What differs between two tasks, such as a run that worked and one that did not: status, cost, tokens, duration, tools,"
        " and the first part where they part, with prompts and answers that differ.",
        comparison.CompareArguments,
        comparison.ComparedTasks,
        comparison.compare_tasks,
    ),
    AgentlogTool(
        "list_errors",
        "List kinds of errors",
        "The kinds of errors of the tasks that meet a filter: how many of each, when, in how many tasks, and whether a retry made"
        " them good.",
        errors.ErrorsArguments,
        errors.ErrorKinds,
        errors.list_errors,
    ),
    AgentlogTool(
        "explain_error",
        "Explain an error",
        "All about one error, by its id or by the task that ended with it: message, traceback, where it was raised, what came"
        " before, how it was handled, what can be done, and which other tasks have its like.",
        errors.ExplainArguments,
        errors.ExplainedError,
        errors.explain_error,
    ),
    AgentlogTool(
        "statistics",
        "Cost and figures",
        "Cost, tokens, durations, success rates and scores of the tasks that meet a filter: in all, and by agent, model or day.",
        figures.StatisticsArguments,
        figures.FoundFigures,
        figures.statistics,
    ),
    AgentlogTool(
        "add_note",
        "Add a note or scores",
        "Adds a note to a task or to a part of it, scores of it, or both; they stand in its folder from then on.",
        notes.NoteArguments,
        notes.WrittenNote,
        notes.note_task,
        writes=True,
    ),
)
"""In the order in which they are listed."""
