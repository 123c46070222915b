"""claude-agent-sdk and Claude Code's ``stream-json``: each message once, as AI calls, tool runs and sub-agents.

    from otel_agentlog.integrations import claude_agent

    async for message in claude_agent.query(prompt="…"): ...           # in place of claude_agent_sdk.query
    async for message in claude_agent.record_messages(messages): ...   # any iterator of messages
    claude_agent.instrument_client(client)                             # a ClaudeSDKClient, before its messages are read
    claude_agent.record_lines(sys.stdin)                               # claude -p --output-format stream-json --verbose | …

A run, from its first message to its result, is a task, or a step of the one that is running. A request to the model comes as
several messages of one id and is one AI call; tool use and tool result are one tool run, in which lie the messages of a
sub-agent. Tokens and cost of the result are no addition: what the messages did not tell of them goes to the last call.

Written for claude-agent-sdk 0.2.189 and Claude Code 2.1; messages are read by the names of their fields.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextvars import Context, copy_context
from dataclasses import field
from typing import Any

import orjson

import otel_agentlog as agentlog
from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.integrations.frameworks import FrameworkError, begin_inside, end, items, quietly, text
from otel_agentlog.integrations.frameworks import field as field_of

MAX_UNREAD = 1_000
"""Lines that are kept of those that could not be read; more are only counted."""
MAX_WARNINGS = 20
"""Of these so many are a warning in the run."""
MAX_SHOWN = 200
"""Characters, or bytes, that are kept of such a line."""
_SYNTHETIC = "<synthetic>"
"""The model of messages that Claude Code wrote itself."""


def query(*, prompt: Any, **given: Any) -> AsyncIterator[Any]:
    """``claude_agent_sdk.query`` with the same arguments and messages, recorded."""
    import claude_agent_sdk

    messages = claude_agent_sdk.query(prompt=prompt, **given)
    return record_messages(messages, input=prompt if isinstance(prompt, str) else None)


def record_messages(messages: Any, *, name: str = "claude", input: Any = None) -> AsyncIterator[Any]:
    """Record the messages of an asynchronous iterator as they come, and pass them on.

    ``name`` is that of the task or step, ``input`` what was asked.
    """
    return _passed_on(messages, MessageReader(name, input))


async def _passed_on(messages: Any, reader: MessageReader) -> AsyncIterator[Any]:
    try:
        async for message in messages:
            reader.take(message)
            yield message
    except BaseException as error:
        reader.close(error)
        raise
    finally:
        reader.close()
        if (close := getattr(messages, "aclose", None)) is not None:
            await close()


def instrument_client(client: Any, *, name: str = "claude") -> Any:
    """Record what a ``ClaudeSDKClient`` receives, a run for each result; returns the client."""
    receive, ask, reader = client.receive_messages, client.query, MessageReader(name)

    def receive_messages(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        return _passed_on(receive(*args, **kwargs), reader)

    async def query(prompt: Any, *args: Any, **kwargs: Any) -> Any:
        reader.take_prompt(prompt)
        return await ask(prompt, *args, **kwargs)

    if not getattr(receive, "__agentlog__", False):
        receive_messages.__agentlog__ = True  # type: ignore[attr-defined]
        client.receive_messages, client.query = receive_messages, query
    return client


@dataclass
class StreamReport:
    """What was read of a stream of lines."""

    messages: int = 0
    unread_count: int = 0
    unread: list[tuple[int, str]] = field(default_factory=list)
    """Of lines that are no messages, number (from 1) and beginning, at most `MAX_UNREAD`."""


def record_lines(lines: Iterable[str | bytes | Mapping[str, Any]], *, name: str = "claude", input: Any = None) -> StreamReport:
    """Record lines of ``stream-json``, as text, bytes or decoded, as they come; times are those of their arrival.

    What is no message is kept in the report; the first of them are warnings in the run.
    """
    if isinstance(lines, (str, bytes)):
        lines = lines.splitlines()
    reader, report = MessageReader(name, input), StreamReport()
    try:
        for number, line in enumerate(lines, 1):
            if issubclass(type(line), _TEXTS) and not line.strip():  # type: ignore[union-attr]  # it is one
                continue
            message = _decoded(line)
            if message is not None:
                report.messages += 1
                reader.take(message)
                continue
            report.unread_count += 1
            beginning = _beginning(line)
            if len(report.unread) < MAX_UNREAD:
                report.unread.append((number, beginning))
            if report.unread_count <= MAX_WARNINGS:
                reader.unread(number, beginning)
    except BaseException as error:
        reader.close(error)
        raise
    reader.close()
    return report


_TEXTS = (str, bytes, bytearray)


def _decoded(line: Any) -> Any:
    """The message that a line is; ``None`` if it is none. Of a value only its type is asked: any other may do anything."""
    try:
        found = orjson.loads(line) if issubclass(type(line), _TEXTS) else line
    except ValueError:
        raise_interrupt()
        return None
    return found if issubclass(type(found), Mapping) and text(found, "type") is not None else None


def _beginning(line: Any) -> str:
    if not issubclass(type(line), _TEXTS):
        return f"<{type(line).__name__}>"
    beginning = line[:MAX_SHOWN]
    return (beginning if isinstance(beginning, str) else bytes(beginning).decode(errors="replace")).strip()


# -- reading ---------------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Thread:
    """The main conversation, or that of a sub-agent."""

    inside: Context
    since: float
    """When the last thing came, by the monotonic clock: since then a request to the model has been running."""
    call: agentlog.AiCall | None = None
    """The request that is being answered."""
    message_id: str = ""
    streams: bool = False
    """Whether an event reports its end."""
    ended: set[str] = field(default_factory=set)
    """Ids of messages whose calls have ended."""


class MessageReader:
    """Records messages in the order they come. One of a run; a session's next run begins with the message after the result."""

    def __init__(self, name: str = "claude", input: Any = None) -> None:
        self._name, self._input = name, input
        self._run: agentlog.Operation | None = None
        self._since = time.monotonic()
        self._threads: dict[str, _Thread] = {}
        self._tools: dict[str, tuple[agentlog.ToolRun, Context]] = {}
        self._calls: dict[str, agentlog.AiCall] = {}
        """Those of the run by the ids of their messages."""
        self._session = ""
        self._model: str | None = None
        self._paid_usd = 0.0
        """The sum in the session's last result."""
        self._counted: dict[str, int] = {}
        """The tokens in the session's last result."""

    def take_prompt(self, prompt: Any) -> None:
        """Take what the next run is asked."""
        self._since = time.monotonic()
        self._input = prompt if isinstance(prompt, str) else None

    @quietly
    def take(self, message: Any) -> None:
        """Record one message: a dict of ``stream-json``, or an object of the SDK. Others change nothing."""
        kind = _kind_of(message)
        if kind not in ("assistant", "user", "result", "stream_event") and not _is_init(message):
            return
        if self._run is None:
            self._begin(message)
        if kind == "assistant":
            self._assistant(message)
        elif kind == "user":
            self._user(message)
        elif kind == "stream_event":
            self._event(message)
        elif kind == "result":
            self._result(message)

    @quietly
    def unread(self, number: int, beginning: str) -> None:
        """Say in the run that a line is no message."""
        inside = self._threads[""].inside.copy() if self._threads else copy_context()
        inside.run(
            agentlog.get_logger(__name__).warning, "a line of the stream is no message", line_number=number, line=beginning
        )

    @quietly
    def close(self, error: BaseException | None = None) -> None:
        """End a run that had no result."""
        self._stop("interrupted" if error is None else None, error, "the stream ended without a result")

    # -- messages -----------------------------------------------------------------------------------------------------------

    def _begin(self, message: Any) -> None:
        data = field_of(message, "data") or message
        session = text(message, "session_id") or text(data, "session_id")
        if session != self._session:
            self._session, self._paid_usd, self._counted = session or "", 0.0, {}
        self._model = model = text(data, "model") or self._model
        run: agentlog.Operation
        if agentlog.current_task() is not None:
            run = agentlog.step(self._name, attributes={"agentlog.claude.session_id": session} if session else None)
        else:
            given = {"input": self._input} if self._input is not None else {}
            run = agentlog.task(self._name, agent="claude", source="claude", session_id=session, model=model, **given)
        now = time.monotonic()
        inside = begin_inside(copy_context(), run.began(now - self._since))
        # Before its first message Claude Code was starting; where there is none it was answering.
        main = _Thread(inside, now if _is_init(message) else self._since)
        self._run, self._threads, self._tools, self._calls = run, {"": main}, {}, {}
        self._input = None

    def _thread(self, message: Any) -> _Thread:
        parent = text(message, "parent_tool_use_id") or ""
        thread = self._threads.get(parent)
        if thread is None:
            tool = self._tools.get(parent)
            inside = self._threads[""].inside if tool is None else tool[1]
            thread = self._threads[parent] = _Thread(inside, time.monotonic())
        return thread

    def _assistant(self, message: Any) -> None:
        thread, inner = self._thread(message), field_of(message, "message") or message
        message_id = text(inner, "id") or text(message, "message_id") or text(message, "uuid") or f"message {len(self._calls)}"
        model, error, blocks = text(inner, "model"), text(message, "error"), items(inner, "content")
        if model == _SYNTHETIC and error is None:
            return
        over = message_id in thread.ended
        if not over or any(text(block, "text") or text(block, "thinking") for block in blocks):
            call = self._calls[message_id] if over else self._call(thread, message_id, model)
            call.record(_as_message(inner, message_id, blocks))
        if error is not None:
            self._end_call(thread, f"{error}: {_written(blocks)}")
        thread.since = time.monotonic()
        for block in blocks:
            self._block(thread, block)

    def _call(self, thread: _Thread, message_id: str, model: str | None) -> agentlog.AiCall:
        if thread.call is not None and thread.message_id == message_id:
            return thread.call
        self._end_call(thread)
        call = agentlog.ai_call(model or "", provider="anthropic", conversation_id=self._session or None)
        begin_inside(thread.inside, call.began(max(0.0, time.monotonic() - thread.since)))
        thread.call, thread.message_id, thread.streams = call, message_id, False
        self._calls[message_id] = call
        return call

    @staticmethod
    def _end_call(thread: _Thread, error: BaseException | str | None = None, outcome: str | None = None) -> None:
        if (call := thread.call) is not None:
            thread.call = None
            thread.ended.add(thread.message_id)
            end(call, error, outcome)

    def _block(self, thread: _Thread, block: Any) -> None:
        """Begin the tool run that a block asks for, or end the one whose result it has; what is said is in the call."""
        if (answered := text(block, "tool_use_id")) is not None:
            self._tool_result(answered, block)
            return
        name, tool_id = text(block, "name"), text(block, "id")
        if name is None or tool_id is None or tool_id in self._tools:
            return
        if not thread.streams:
            self._end_call(thread)  # its answer is there; what follows of it are further tools
        tool = agentlog.tool(name, arguments=field_of(block, "input"), call_id=tool_id)
        self._tools[tool_id] = tool, begin_inside(thread.inside, tool)

    def _tool_result(self, tool_id: str, block: Any) -> None:
        if tool_id not in self._tools:
            return
        tool, _ = self._tools.pop(tool_id)
        if (thread := self._threads.pop(tool_id, None)) is not None:
            self._end_call(thread)
        content = field_of(block, "content")
        tool.result = _written(content) or content if isinstance(content, list) else content
        failed = field_of(block, "is_error") is True
        end(tool, (tool.result if isinstance(tool.result, str) else "") or "the tool failed" if failed else None)

    def _user(self, message: Any) -> None:
        thread, inner = self._thread(message), field_of(message, "message") or message
        self._end_call(thread)
        for block in items(inner, "content"):
            self._block(thread, block)
        thread.since = time.monotonic()

    def _event(self, message: Any) -> None:
        """Take an event of the model's own stream, which comes before its message: when it begins, counts, and ends."""
        thread, event = self._thread(message), field_of(message, "event")
        kind = text(event, "type")
        if kind == "message_start":
            begun = field_of(event, "message")
            self._call(thread, text(begun, "id") or f"message {len(self._calls)}", text(begun, "model")).record(begun)
            thread.streams = True
        elif kind == "message_delta" and thread.call is not None:
            answer = {"id": thread.message_id, "type": "message", "role": "assistant", "content": []}
            stop = text(field_of(event, "delta"), "stop_reason")
            thread.call.record({**answer, "usage": field_of(event, "usage"), "stop_reason": stop})
        elif kind == "message_stop":
            self._end_call(thread)
        thread.since = time.monotonic()

    def _result(self, message: Any) -> None:
        assert self._run is not None
        self._settle(message)
        for key in ("num_turns", "total_cost_usd", "duration_ms", "duration_api_ms", "subtype", "terminal_reason"):
            if (value := field_of(message, key)) is not None:
                self._run.set_attribute(f"agentlog.claude.{key}", value)
        answer = field_of(message, "structured_output") or field_of(message, "result")
        if isinstance(self._run, agentlog.Task):
            self._run.result = answer
        reason = text(message, "terminal_reason") or ""
        if reason.startswith("aborted"):
            self._stop("cancelled", None, reason)
        elif field_of(message, "is_error") is True:
            said = "; ".join(map(str, items(message, "errors"))) or (answer if isinstance(answer, str) else "")
            failure = ": ".join(filter(None, (text(message, "subtype"), said))) or "the run failed"
            self._stop("failed", FrameworkError(failure), reason or None)
        else:
            self._stop("completed", None, None)

    @quietly
    def _settle(self, message: Any) -> None:
        """Give the last call what the result has of tokens and cost and the calls have not."""
        whole = agentlog.ai_call("")
        whole.record({"usage": field_of(message, "usage")})
        if not self._calls:
            if not whole.tokens:
                return
            self._call(self._threads[""], text(message, "uuid") or "result", self._model)
        counted_here = _sum(call.tokens for call in self._calls.values())
        counted, self._counted = self._counted, whole.tokens
        if counted and all(count >= counted_here.get(key, 0) + counted.get(key, 0) for key, count in whole.tokens.items()):
            counted_here = _sum([counted_here, counted])  # a running total
        rest = {key: count - counted_here.get(key, 0) for key, count in whole.tokens.items() if count > counted_here.get(key, 0)}
        key, last = next(reversed(self._calls.items()))
        if rest:
            # By its id it is the same answer, as a whole.
            last.record({"type": "message", "id": key, "content": [], "usage": _as_usage(_sum([last.tokens, rest]))})
        self._settle_cost(last, field_of(message, "total_cost_usd"))

    def _settle_cost(self, last: agentlog.AiCall, paid_usd: Any) -> None:
        if isinstance(paid_usd, bool) or not isinstance(paid_usd, (int, float)):
            return
        before, self._paid_usd = self._paid_usd, float(paid_usd)
        # The sum of a session; a conversation that was reset begins at 0 again.
        cost = paid_usd - before if paid_usd >= before else paid_usd
        others = sum(call.cost_usd or 0.0 for call in self._calls.values() if call is not last)
        known = last.cost_usd
        if cost >= others and cost - others != ((known or 0.0) if last.ended else known):
            last.cost(cost - others)

    def _stop(self, outcome: str | None, error: BaseException | None, reason: str | None) -> None:
        """End the run and what is open in it, the innermost first; requests that were answered are complete."""
        run, self._run = self._run, None
        if run is None:
            return
        # What passes through ends what it passes.
        passing = None if isinstance(error, FrameworkError) else error
        left = None if passing is not None else "cancelled" if outcome == "cancelled" else "interrupted"
        for thread in reversed([*self._threads.values()]):
            if thread.streams:
                self._end_call(thread, passing, left)
            else:
                self._end_call(thread)
        for tool, _ in reversed([*self._tools.values()]):
            end(tool, passing, left)
        if not run.ended:
            run.end(outcome, error=error, reason=reason)


def _kind_of(message: Any) -> str:
    """The ``type`` of a message; of an object of the SDK by the fields it has."""
    if isinstance(message, Mapping):
        return text(message, "type") or ""
    if hasattr(message, "num_turns"):
        return "result"
    if hasattr(message, "event"):
        return "stream_event"
    if hasattr(message, "content"):
        return "assistant" if hasattr(message, "model") else "user"
    return "system" if hasattr(message, "subtype") else ""


def _is_init(message: Any) -> bool:
    return text(message, "subtype") == "init" and _kind_of(message) == "system"


def _as_message(inner: Any, message_id: str, blocks: list[Any]) -> dict[str, Any]:
    """A message of Anthropic's API, of what the SDK made of one."""
    reason = text(inner, "stop_reason")
    return {
        "type": "message",
        "role": "assistant",
        "id": message_id or None,
        "model": text(inner, "model"),
        "content": [_as_block(block) for block in blocks],
        "usage": field_of(inner, "usage"),
        **({} if reason is None else {"stop_reason": reason}),
    }


def _as_block(block: Any) -> Any:
    """A block of a message's content, whose type the SDK tells by its class."""
    if isinstance(block, Mapping):
        return block
    for kind, fields in (("tool_use", ("id", "name", "input")), ("thinking", ("thinking",)), ("text", ("text",))):
        if all(hasattr(block, name) for name in fields):
            return {"type": kind, **{name: field_of(block, name) for name in fields}}
    return {"type": type(block).__name__}


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in counts:
        for key, count in each.items():
            found[key] = found.get(key, 0) + count
    return found


def _as_usage(tokens: Mapping[str, int]) -> dict[str, int]:
    """Counts as Anthropic's API tells them, where cached input is beside the other input."""
    read, write = tokens.get("cache_read_input_tokens", 0), tokens.get("cache_write_input_tokens", 0)
    return {
        "input_tokens": max(0, tokens.get("input_tokens", 0) - read - write),
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": write,
        "output_tokens": tokens.get("output_tokens", 0),
    }


def _written(blocks: Any) -> str:
    found = blocks if isinstance(blocks, list) else []
    return "\n".join(written for block in found if (written := text(block, "text")))
