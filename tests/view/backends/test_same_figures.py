"""What is brought from a backend has the figures of the folders that it was sent from, whoever's spans they were."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace

import otel_agentlog as agentlog
from otel_agentlog.store.folder.reader import TaskReader, list_tasks
from otel_agentlog.store.index.extract import extract_from
from otel_agentlog.view.backends.folders import bring
from otel_agentlog.view.backends.wanted import Wanted
from tests.end_to_end.test_counted_once import (
    OPENINFERENCE,
    SITUATIONS,
    a_callback_after_the_client_without_ids,
    a_failure_in_a_chain,
    a_failure_in_a_tool_that_a_failed_request_ran,
    a_failure_seen_side_by_side,
    a_request_that_is_cancelled,
    a_stream_that_is_cancelled_in_a_chain_and_closed_later,
    a_stream_that_is_left,
    a_stream_that_is_left_known_to_the_client,
    alike_in_two_frameworks,
    chat,
    failures_at_once_in_a_chain,
    failures_at_once_seen_side_by_side,
    inside_a_sibling_that_ended_first,
    inside_a_sibling_without_ids,
    sibling_of_another_name_of_the_provider,
    sibling_whose_model_is_named_by_the_answer,
    sibling_with_id_only_on_one,
    siblings,
    siblings_by_their_output,
    siblings_known_late,
    siblings_of_one_library,
    siblings_of_which_one_names_the_alias_only,
    siblings_of_which_only_one_knows,
    siblings_without_ids,
    siblings_without_ids_the_outer_one_first,
    span,
    streams_at_once_of_which_one_is_left,
    streams_told_when_they_are_read,
    two_at_once_of_equal_tokens_seen_twice,
    two_at_once_of_other_tokens_seen_twice,
    two_attempts_that_failed_side_by_side,
    two_frameworks_around_a_failure,
)
from tests.support.backend_rows import Tables

_CACHED = "llm.token_count.prompt_details.cache_read"
FIGURES = ("ai_calls", "input_tokens", "output_tokens", "cost_usd", "tool_runs", "steps", "retries", "errors")


def openinference() -> None:
    """A model and a tool by the names of OpenInference, with ids of responses in their outputs only."""
    with span("openinference", {**OPENINFERENCE, _CACHED: 400}):
        pass
    with span("openinference", {"openinference.span.kind": "TOOL", "tool.name": "weather"}):
        pass


def tools_of_a_protocol() -> None:
    """Runs of MCP tools, whose names are in those of their spans; within one of ours it is the same run."""
    for name in ("MCP send tools/call forecast", "tools/call forecast"):
        with trace.get_tracer("mcp").start_as_current_span(name, attributes={"mcp.method.name": "tools/call"}):
            pass
    with agentlog.tool("radar"), span("mcp", {"mcp.method.name": "tools/call", "gen_ai.tool.name": "radar"}):
        pass


def an_agent_with_a_model() -> None:
    """A framework's span of a whole run names the model and the tokens of the calls in it."""
    run = {**chat((2000, 40), None), "gen_ai.operation.name": "invoke_agent"}
    with span("framework", run), agentlog.step("turn"), span("client", chat((2000, 40))):
        pass


def names_of_the_past() -> None:
    """Tokens by names that the conventions had before."""
    past = {"gen_ai.usage.prompt_tokens": 1000, "gen_ai.usage.completion_tokens": 20, "gen_ai.system": "OpenAI"}
    with span("lib", {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o", **past}):
        pass


def a_price_of_its_own() -> None:
    """A library that tells what its call cost, and one whose model has no price."""
    with span("lib", chat(**{"gen_ai.usage.cost": 0.5})):
        pass
    with span("lib", chat(None, "r2", **{"gen_ai.request.model": "nobody-knows"})):
        pass


def an_error_through_two_of_theirs_and_a_step() -> None:
    with suppress(ValueError), agentlog.step("s"):
        with span("framework", {"gen_ai.operation.name": "invoke_agent"}), span("client", chat(None, None)):
            raise ValueError("no such model")


def a_tool_of_theirs_that_fails() -> None:
    with suppress(KeyError), span("framework", {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "weather"}):
        raise KeyError("k")


def an_attempt_of_theirs_that_fails() -> None:
    """Within an operation that may be retried the outcome of that counts."""
    with agentlog.ai_call("gpt-4o", provider="openai") as call:
        with suppress(ConnectionError), span("client", chat(None, None)):
            raise ConnectionError("reset")
        call.attempt_failed(ConnectionError("reset"))
        with span("client", chat()):
            pass


MORE: tuple[Callable[[], None], ...] = (
    *(openinference, tools_of_a_protocol, an_agent_with_a_model, names_of_the_past, a_price_of_its_own),
    *(an_error_through_two_of_theirs_and_a_step, a_tool_of_theirs_that_fails, an_attempt_of_theirs_that_fails),
)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, TaskReader], dict[str, TaskReader]]:
    """The tasks of all situations by their ids, in the folders they were recorded in and as they were brought back."""
    home = tmp_path_factory.mktemp("same")
    root, logs = home / "tasks", home / "logs"
    agentlog.configure(service_name="test", directory=root, log_directory=logs, console="off", capture_logging=False)
    for situation in (*SITUATIONS, *MORE):
        with agentlog.task(situation.__name__, task_id=situation.__name__):
            situation()
    agentlog.shutdown()
    return _by_id(root), _by_id(bring(Tables(root), home / "cache", Wanted()))


def _by_id(root: Path) -> dict[str, TaskReader]:
    return {task.task_id: task for task in list_tasks(root)}


def _figures(task: TaskReader) -> dict[str, Any]:
    metrics = (task.final_result() or {})["metrics"]
    failed = [line for line in task.events() if "exception" in line]
    runs = [(run.kind, run.name, run.provider, run.outcome, run.cost, run.input_tokens) for run in extract_from(task).runs]
    return {
        **{key: metrics[key] for key in FIGURES},
        "status": (task.metadata() or {})["status"],
        "runs": sorted(runs, key=str),
        "errors by their ids": sorted(
            [(line["type"], line["level"], *map(line["exception"].get, ("error_id", "category", "type", "message")))]
            for line in failed
        ),
    }


@pytest.mark.parametrize("situation", [each.__name__ for each in (*SITUATIONS, *MORE)])
def test_a_backend_has_the_figures_of_the_folder(
    situation: str, both: tuple[dict[str, TaskReader], dict[str, TaskReader]]
) -> None:
    """Calls, tokens, cost, tool runs, and errors with their ids."""
    here, there = both
    assert _figures(there[situation]) == _figures(here[situation])


SIDE_BY_SIDE = (
    *(siblings, siblings_of_one_library, siblings_by_their_output, a_failure_seen_side_by_side),
    *(failures_at_once_seen_side_by_side, two_attempts_that_failed_side_by_side),
    *(siblings_without_ids, siblings_without_ids_the_outer_one_first, sibling_with_id_only_on_one),
    *(sibling_of_another_name_of_the_provider, siblings_of_which_only_one_knows, siblings_known_late),
    *(inside_a_sibling_without_ids, inside_a_sibling_that_ended_first, a_callback_after_the_client_without_ids),
    *(streams_told_when_they_are_read, two_at_once_of_equal_tokens_seen_twice, two_at_once_of_other_tokens_seen_twice),
    *(a_failure_in_a_chain, failures_at_once_in_a_chain, two_frameworks_around_a_failure, alike_in_two_frameworks),
    *(a_failure_in_a_tool_that_a_failed_request_ran, a_request_that_is_cancelled),
    *(a_stream_that_is_left, a_stream_that_is_left_known_to_the_client, streams_at_once_of_which_one_is_left),
    *(a_stream_that_is_cancelled_in_a_chain_and_closed_later, sibling_whose_model_is_named_by_the_answer),
    siblings_of_which_one_names_the_alias_only,
)
"""What only who was there knows to be one request."""


def test_spans_that_do_not_say_what_they_are_are_read(
    both: tuple[dict[str, TaskReader], dict[str, TaskReader]], tmp_path: Path
) -> None:
    """Those that an earlier version sent, or another exporter: calls, tool runs and errors are counted as far as they can be."""
    here, _ = both
    tables = Tables(next(iter(here.values())).folder.parent)
    for row in tables.spans:
        if row["scope"] != "otel_agentlog":
            row["attributes"] = {key: value for key, value in row["attributes"].items() if not key.startswith("agentlog.")}

    there = _by_id(bring(tables, tmp_path, Wanted()))

    known = [each.__name__ for each in (*SITUATIONS, *MORE) if each not in SIDE_BY_SIDE]
    assert {name: _counts(there[name]) for name in known} == {name: _counts(here[name]) for name in known}


def _counts(task: TaskReader) -> dict[str, Any]:
    metrics = (task.final_result() or {})["metrics"]
    return {key: metrics[key] for key in ("ai_calls", "tool_runs", "errors")}


def test_what_others_put_on_their_spans_stays(both: tuple[dict[str, TaskReader], dict[str, TaskReader]]) -> None:
    """Ours have names of ours, and come in addition."""
    here, _ = both
    (row,) = [row for row in Tables(here["openinference"].folder.parent).spans if _CACHED in row["attributes"]]

    theirs = {key: value for key, value in row["attributes"].items() if not key.startswith("agentlog.")}
    assert theirs == {key: str(value) for key, value in {**OPENINFERENCE, _CACHED: 400}.items()}
    ours = {key for key in row["attributes"] if key.startswith("agentlog.")}
    assert {"agentlog.task.id", "agentlog.line.type", "agentlog.usage.input_tokens", "agentlog.usage.cost.amount"} <= ours
