"""Session files of the Codex CLI: ``~/.codex/sessions/<year>/<month>/<day>/rollout-<time>-<id>.jsonl``.

A row is ``{"timestamp", "type", "payload"}``: ``session_meta``; ``turn_context``, which has the model; ``response_item``, an item
of the Responses API that the model was given or gave; ``event_msg``, of which ``token_count`` has the tokens of the last answer
(``info.last_token_usage``) and of all so far. What the other events say the items say, too. Files of 2025 before September have
the items as rows, behind a row with ``id``, ``timestamp`` and ``instructions``. (Codex CLI 0.20 to 0.98.)
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from otel_agentlog.tools.imports.readers.events import (
    Answer,
    Begin,
    End,
    Event,
    Remark,
    Text,
    ToolEnd,
    ToolStart,
    moment_ns,
    read_json,
    title,
)
from otel_agentlog.vocabulary.coerce import mapping, number, objects, text
from otel_agentlog.vocabulary.states import Outcome

NAME = "codex"

_TYPES = frozenset({"session_meta", "response_item", "event_msg", "turn_context", "compacted"})
_ITEMS = frozenset(
    {"message", "reasoning", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output"}
)
_CALLS = frozenset({"function_call", "custom_tool_call", "local_shell_call", "web_search_call", "tool_search_call"})
_USAGE = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens")
_CONTEXT = re.compile(
    r"\s*(?:<(?:environment_context|user_instructions|INSTRUCTIONS|permissions|turn_aborted|skill)\b|# AGENTS\.md )"
)
"""How messages begin that the program puts in by itself in the name of the user."""
_EXIT_CODE = re.compile(r"(?:Exit code|Process exited with code):? (-?\d{1,9})\b")


def recognises(row: Mapping[str, Any]) -> bool:
    """Whether a row is of such a file."""
    if text(row, "type") in _TYPES and isinstance(row.get("payload"), Mapping):
        return True
    return ("type" not in row and {"id", "timestamp", "instructions"} <= row.keys()) or row.get("record_type") == "state"


class Codex:
    """Reads one file."""

    def __init__(self, otherwise_ns: int) -> None:
        """``otherwise_ns``: the time of rows that have none, until one has."""
        self._at_ns = self._request_ns = otherwise_ns
        self._key: str | None = None
        self._meta: Mapping[str, Any] = {}
        self._begun = False
        self._before: list[Text] = []
        """What was said before the task began: instructions."""
        self._model, self._answers = "unknown", 0
        self._items: list[Mapping[str, Any]] = []
        """Of the answer under way."""
        self._items_ns = (0, 0)
        self._given = False
        """Whether the model was given anything since."""
        self._total: dict[str, int] = {}
        self._last_text: str | None = None
        self._outcome, self._failed = Outcome.COMPLETED, None
        self._numbers = 0

    _failed: str | None

    def read(self, row: Mapping[str, Any]) -> Iterator[Event]:
        """What a row says."""
        self._at_ns = moment_ns(row.get("timestamp")) or self._at_ns
        kind, payload = text(row, "type"), mapping(row, "payload")
        if not payload:
            # A file of before.
            kind, payload = (
                ("response_item", row) if kind in _ITEMS else ("session_meta", row) if "instructions" in row else (None, row)
            )
        if kind == "session_meta":
            self._take_meta(payload)
        elif kind == "turn_context":
            self._model = text(payload, "model") or self._model
        elif kind == "response_item":
            yield from self._item(payload)
        elif kind == "event_msg":
            yield from self._event(payload)
        elif kind == "compacted" and self._begun:
            yield Remark(self.key, self._at_ns, "codex_compacted", text(payload, "message") or "the conversation was compacted")

    def finish(self) -> Iterator[Event]:
        """What is left at the end of the file."""
        if self._key is None and not self._begun:
            return
        yield from self._begin(None)
        yield from self._answered(None)
        yield End(self.key, self._at_ns, self._outcome, self._last_text, self._failed)

    @property
    def key(self) -> str:
        """The id of the session."""
        return self._key or "unknown"

    def _take_meta(self, meta: Mapping[str, Any]) -> None:
        if self._key is None and (id_ := text(meta, "id") or text(meta, "session_id")):
            self._key, self._meta = id_, meta
            self._at_ns = self._request_ns = moment_ns(meta.get("timestamp")) or self._at_ns

    def _begin(self, prompt: str | None) -> Iterator[Event]:
        if self._begun:
            return
        self._begun = True
        meta, spawned = self._meta, mapping(mapping(mapping(self._meta, "source"), "subagent"), "thread_spawn")
        git = mapping(meta, "git")
        details = {key: meta[key] for key in ("cwd", "originator", "cli_version") if isinstance(meta.get(key), str)}
        details |= {key: git[key] for key in ("branch", "commit_hash") if isinstance(git.get(key), str)}
        began_ns = min([self._at_ns, *(each.at_ns for each in self._before), moment_ns(meta.get("timestamp")) or self._at_ns])
        yield Begin(
            self.key,
            began_ns,
            text(spawned, "agent_nickname") or title(prompt, NAME),
            text(spawned, "agent_role") or NAME,
            prompt,
            text(spawned, "parent_thread_id"),
            None,
            self.key,
            details=details,
        )
        yield from self._before
        self._before = []

    def _item(self, item: Mapping[str, Any]) -> Iterator[Event]:
        kind = text(item, "type") or ""
        if kind == "message" and item.get("role") != "assistant":
            yield from self._request(item)
            return
        yield from self._begin(None)
        if kind.endswith("_output"):
            self._given, self._request_ns = True, self._at_ns
            yield _tool_end(self.key, self._at_ns, item)
            return
        if self._given and self._items:
            yield from self._answered(None)
        if not self._items:
            self._items_ns = (min(self._request_ns, self._at_ns), self._at_ns)
        self._items.append(item)
        self._items_ns, self._given = (self._items_ns[0], self._at_ns), False
        yield from self._said(kind, item)

    def _request(self, item: Mapping[str, Any]) -> Iterator[Event]:
        said = _texts(item, "content")
        if item.get("role") != "user" or _CONTEXT.match(said):
            context = Text(self.key, self._at_ns, "system", said)
            if self._begun:
                yield context
            else:
                self._before.append(context)
            return
        yield from self._answered(None)
        if self._begun:
            yield Text(self.key, self._at_ns, "user", said)
        yield from self._begin(said)
        self._given, self._request_ns, self._outcome, self._failed = True, self._at_ns, Outcome.COMPLETED, None

    def _said(self, kind: str, item: Mapping[str, Any]) -> Iterator[Event]:
        if kind == "message" and (said := _texts(item, "content")):
            self._last_text = said
            yield Text(self.key, self._at_ns, "output", said)
        elif kind == "reasoning" and (said := _texts(item, "content") or _texts(item, "summary")):
            yield Text(self.key, self._at_ns, "thinking", said)
        elif kind in _CALLS:
            self._numbers += 1
            call_id = text(item, "call_id") or text(item, "id") or f"{kind}-{self._numbers}"
            name = text(item, "name") or kind.removesuffix("_call")
            given = next((item[key] for key in ("arguments", "input", "action", "query") if item.get(key) is not None), None)
            yield ToolStart(self.key, self._at_ns, call_id, name, read_json(given))
            if kind == "web_search_call":
                yield ToolEnd(
                    self.key, self._at_ns, call_id, None, None if item.get("status") != "failed" else "the search failed"
                )

    def _event(self, event: Mapping[str, Any]) -> Iterator[Event]:
        kind = text(event, "type") or ""
        if kind == "token_count":
            if (usage := self._spent(mapping(event, "info"))) is not None:
                yield from self._begin(None)
                yield from self._answered(usage)
        elif kind in ("error", "stream_error", "warning") and self._begun:
            said = text(event, "message") or kind
            if kind == "error":
                self._outcome, self._failed = Outcome.FAILED, said
            yield Remark(self.key, self._at_ns, f"codex_{kind}", said, "ERROR" if kind == "error" else "WARNING")
        elif kind == "turn_aborted" and self._begun:
            self._outcome = Outcome.CANCELLED
            yield Remark(self.key, self._at_ns, "codex_turn_aborted", text(event, "reason") or "aborted", "WARNING")

    def _spent(self, info: Mapping[str, Any]) -> dict[str, int] | None:
        """The tokens of the last answer, unless they were there before."""
        total = _counts(mapping(info, "total_token_usage"))
        last = _counts(mapping(info, "last_token_usage"))
        if not any(total.values()) and not any(last.values()):
            return None
        if total and total == self._total:
            return None
        usage = last or {key: max(0, count - self._total.get(key, 0)) for key, count in total.items()}
        self._total = total
        return usage

    def _answered(self, usage: dict[str, int] | None) -> Iterator[Event]:
        """The answer under way is complete."""
        if not self._items and usage is None:
            return
        items, self._items = self._items, []
        begin, end = self._items_ns if items else (min(self._request_ns, self._at_ns), self._at_ns)
        self._answers += 1
        key = f"answer-{self._answers}"
        response: dict[str, Any] = {"object": "response", "model": self._model, "output": items}
        if usage is not None:
            response["usage"] = {
                **{name: usage[name] for name in ("input_tokens", "output_tokens") if name in usage},
                "input_tokens_details": {"cached_tokens": usage.get("cached_input_tokens", 0)},
                "output_tokens_details": {"reasoning_tokens": usage.get("reasoning_output_tokens", 0)},
            }
        provider = text(self._meta, "model_provider") or "openai"
        yield Answer(self.key, begin, end, key, self._model, provider, response)


def _counts(usage: Mapping[str, Any]) -> dict[str, int]:
    return {name: int(count) for name in _USAGE if (count := number(usage, name)) is not None and 0 <= count < 1e15}


def _texts(item: Mapping[str, Any], key: str) -> str:
    given = item.get(key)
    return given if isinstance(given, str) else "\n".join(said for part in objects(item, key) if (said := text(part, "text")))


def _tool_end(task: str, at_ns: int, item: Mapping[str, Any]) -> ToolEnd:
    output = read_json(item.get("output"))
    given: Mapping[str, Any] = output if isinstance(output, Mapping) else {}
    result = given.get("output", given.get("content", output))
    code = number(mapping(given, "metadata"), "exit_code")
    if code is None and isinstance(result, str) and (match := _EXIT_CODE.search(result[:300])) is not None:
        code = int(match[1])
    failed = given.get("success") is False or bool(code)
    error = (
        None if not failed else f"exit code {int(code)}" if code else (result if isinstance(result, str) else "the tool failed")
    )
    return ToolEnd(task, at_ns, text(item, "call_id") or "", result, error, None if code is None else int(code))
