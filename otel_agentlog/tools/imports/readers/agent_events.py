"""Log records of coding agents, by the names of their documentation, to the events that readers of transcripts give.

Claude Code (``claude_code.*``, "Monitoring"), Codex (``codex.*``, "Observability and telemetry"), Gemini CLI (``gemini_cli.*``,
"Telemetry").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.tools.imports.readers.events import Answer, Event, Text, ToolEnd, ToolStart, read_json
from otel_agentlog.tools.imports.readers.spans import TracedLog
from otel_agentlog.vocabulary.coerce import as_integer, text

_CALLS = {"claude_code.api_request": "anthropic", "codex.sse_event": "openai", "gemini_cli.api_response": "gemini"}
_FAILED_CALLS = {"claude_code.api_error": "anthropic", "gemini_cli.api_error": "gemini"}
_TOOLS = frozenset({"claude_code.tool_result", "codex.tool_result", "gemini_cli.tool_call"})
_ARGUMENTS = ("arguments", "tool_parameters", "function_args", "tool_input")
PROMPTS = frozenset({"claude_code.user_prompt", "codex.user_prompt", "gemini_cli.user_prompt"})
"""Events with what the user asked."""


def event_of(log: TracedLog) -> str:
    """The whole name of an event, which some have in the body and some in an attribute."""
    name = text(log.details, "event.name") or ""
    return name if "." in name else log.message if "." in log.message and " " not in log.message else name


def known(task: str, log: TracedLog, number: int) -> Iterator[Event]:
    """What happened, if it is an event of a coding agent; ``number``: which no other log record of the task has."""
    name, details = event_of(log), log.details
    took_ns = round((_number(details, "duration_ms") or 0) * 1e6)
    began_ns = log.at_ns - max(0, took_ns)
    if name in _CALLS and (name != "codex.sse_event" or details.get("event.kind") == "response.completed"):
        yield _answer(task, _CALLS[name], details, (began_ns, log.at_ns), number)
    elif name in _FAILED_CALLS:
        model = text(details, "model") or "unknown"
        error = text(details, "error") or text(details, "error.message") or text(details, "error_message") or "failed"
        yield Answer(task, began_ns, log.at_ns, str(number), model, _FAILED_CALLS[name], error=error)
    elif name in _TOOLS:
        yield from _tool_run(task, details, began_ns, log.at_ns, number)
    elif name in PROMPTS and (prompt := text(details, "prompt")) is not None:
        yield Text(task, log.at_ns, "user", prompt)


def _answer(task: str, provider: str, details: Mapping[str, Any], times: tuple[int, int], number: int) -> Answer:
    model = text(details, "model") or text(details, "slug") or "unknown"
    cost = _number(details, "cost_usd")
    return Answer(task, *times, str(number), model, provider, _RESPONSES[provider](model, details), cost)


def _of_anthropic(model: str, details: Mapping[str, Any]) -> dict[str, Any]:
    usage = {
        "input_tokens": _count(details, "input_tokens"),
        "output_tokens": _count(details, "output_tokens"),
        "cache_read_input_tokens": _count(details, "cache_read_tokens"),
        "cache_creation_input_tokens": _count(details, "cache_creation_tokens"),
    }
    return {"type": "message", "model": model, "content": [], "usage": usage}


def _of_openai(model: str, details: Mapping[str, Any]) -> dict[str, Any]:
    usage = {
        "input_tokens": _count(details, "input_token_count"),
        "output_tokens": _count(details, "output_token_count"),
        "input_tokens_details": {"cached_tokens": _count(details, "cached_token_count")},
        "output_tokens_details": {"reasoning_tokens": _count(details, "reasoning_token_count")},
    }
    return {"object": "response", "model": model, "output": [], "usage": usage}


def _of_gemini(model: str, details: Mapping[str, Any]) -> dict[str, Any]:
    usage = {
        "promptTokenCount": _count(details, "input_token_count"),
        "candidatesTokenCount": _count(details, "output_token_count"),
        "cachedContentTokenCount": _count(details, "cached_content_token_count"),
        "thoughtsTokenCount": _count(details, "thoughts_token_count"),
    }
    return {"modelVersion": model, "candidates": [], "usageMetadata": usage}


_RESPONSES = {"anthropic": _of_anthropic, "openai": _of_openai, "gemini": _of_gemini}


def _tool_run(task: str, details: Mapping[str, Any], began_ns: int, end_ns: int, number: int) -> Iterator[Event]:
    name = text(details, "tool_name") or text(details, "function_name") or "tool"
    given = next((details[key] for key in _ARGUMENTS if key in details), None)
    call = f"{text(details, 'call_id') or 'run'}-{number}"
    failed = details.get("success") in (False, "false")
    error = (text(details, "error") or text(details, "error_message") or text(details, "output") or "failed") if failed else None
    yield ToolStart(task, began_ns, call, name, read_json(given))
    yield ToolEnd(task, end_ns, call, None if failed else details.get("output"), error)


def _number(details: Mapping[str, Any], key: str) -> float | None:
    """A number, which some agents send as a text."""
    value = details.get(key)
    if isinstance(value, str):
        try:
            value = float(value[:32])
        except ValueError:
            raise_interrupt()
            return None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e15 else None


def _count(details: Mapping[str, Any], key: str) -> int | None:
    number = _number(details, key)
    return None if number is None else as_integer(int(number))
