"""Session files of Claude Code: ``~/.claude/projects/<project>/<session>.jsonl``, and those of its sub-agents.

A row is a message (``type`` ``user`` or ``assistant``), or says something about the session (``system``, ``summary``, snapshots).
An answer of the model comes in several rows, one for each block, with the same ``message.id``; each has the usage so far. Between
them may stand results of tools. Rows of a sub-agent have ``isSidechain``; its file has its parent's ``sessionId`` and an
``agentId`` of its own, in older versions its rows are in the file of the parent. (Claude Code 1.0 to 2.1.)
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any

from otel_agentlog._startup import dataclass
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
    title,
)
from otel_agentlog.vocabulary.coerce import mapping, number, objects, text
from otel_agentlog.vocabulary.states import Outcome

NAME = "claude-code"

MAX_REMEMBERED = 10_000
"""Ids of rows and answers that are remembered: a session that was resumed has some rows again."""

MAX_PROMPTS = 100
"""Sub-agents whose rows are waited for; they are in the same file in older versions only."""

_TYPES = frozenset({"user", "assistant"})
_SYNTHETIC = "<synthetic>"
_INTERRUPTED = "[Request interrupted by user"
_AGENT_TOOLS = frozenset({"Task", "Agent"})


def recognises(row: Mapping[str, Any]) -> bool:
    """Whether a row is of such a file."""
    kind = row.get("type")
    if not isinstance(kind, str) or "payload" in row:
        return False
    return (
        "sessionId" in row or (kind == "summary" and "leafUuid" in row) or (kind == "file-history-snapshot" and "snapshot" in row)
    )


@dataclass
class _Chain:
    """One task: the session, or one sub-agent."""

    key: str
    at_ns: int
    request_ns: int
    """When the model was given something last."""
    model: str = "unknown"
    pending: dict[str, Any] | None = None
    """The answer under way: the message, with all its blocks so far."""
    pending_ns: tuple[int, int] = (0, 0)
    cost_usd: float | None = None
    answers: int = 0
    last_text: str | None = None
    failed: str | None = None
    interrupted: bool = False
    prompts: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Sub-agents that were started and have not said anything: by prompt the tool run and the name."""


class ClaudeCode:
    """Reads one file."""

    def __init__(self, otherwise_ns: int) -> None:
        """``otherwise_ns``: the time of rows that have none, until one has."""
        self._at_ns = otherwise_ns
        self._chains: dict[str, _Chain] = {}
        self._chain_of: OrderedDict[str, str] = OrderedDict()
        """By the id of a row of a sub-agent, which."""
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._session: str | None = None

    def read(self, row: Mapping[str, Any]) -> Iterator[Event]:
        """What a row says."""
        self._at_ns = moment_ns(row.get("timestamp")) or self._at_ns
        self._session = self._session or text(row, "sessionId")
        uuid, kind = text(row, "uuid"), text(row, "type")
        if uuid is not None and not self._is_new(uuid):
            return
        if kind in _TYPES and isinstance(row.get("message"), Mapping):
            yield from self._message(row, mapping(row, "message"))
        elif kind == "system" and (chain := self._chains.get(self._key(row))) is not None:
            action = f"claude_code_{text(row, 'subtype') or 'system'}"
            level = {"error": "ERROR", "warning": "WARNING"}.get(text(row, "level") or "", "INFO")
            said = {
                key: row[key] for key in ("error", "retryAttempt", "maxRetries", "retryInMs", "compactMetadata") if key in row
            }
            yield Remark(chain.key, self._at_ns, action, text(row, "content") or action, level, said)

    def finish(self) -> Iterator[Event]:
        """What is left at the end of the file."""
        for chain in reversed(self._chains.values()):
            yield from self._answered(chain)
            outcome = Outcome.CANCELLED if chain.interrupted else Outcome.FAILED if chain.failed else Outcome.COMPLETED
            yield End(chain.key, chain.at_ns, outcome, chain.last_text, chain.failed)

    def _is_new(self, id_: str) -> bool:
        if id_ in self._seen:
            return False
        self._seen[id_] = None
        if len(self._seen) > MAX_REMEMBERED:
            self._seen.popitem(last=False)
        return True

    def _key(self, row: Mapping[str, Any]) -> str:
        """Which task a row belongs to."""
        session = text(row, "sessionId") or self._session or "unknown"
        if row.get("isSidechain") is not True and text(row, "agentId") is None:
            return session
        uuid, parent = text(row, "uuid") or "", text(row, "parentUuid") or ""
        agent = text(row, "agentId") or self._chain_of.get(parent) or uuid
        self._chain_of[uuid] = agent
        if len(self._chain_of) > MAX_REMEMBERED:
            self._chain_of.popitem(last=False)
        return f"{session}-agent-{agent}"

    def _message(self, row: Mapping[str, Any], message: Mapping[str, Any]) -> Iterator[Event]:
        key, is_meta = self._key(row), row.get("isMeta") is True
        chain = self._chains.get(key)
        if chain is None and is_meta:
            return
        first = chain is None
        if chain is None:
            chain = self._chains[key] = _Chain(key, self._at_ns, self._at_ns)
            yield self._begin(chain, row, message)
        chain.at_ns = max(chain.at_ns, self._at_ns)
        blocks = objects(message, "content")
        if row.get("type") == "assistant":
            yield from self._said(chain, row, message, blocks)
            return
        said = _texts(message)
        if said:
            yield from self._answered(chain)
        if said and not first:
            yield Text(key, self._at_ns, "system" if is_meta else "user", said)
        for block in blocks:
            if block.get("type") == "tool_result":
                yield _tool_end(key, self._at_ns, block)
        chain.interrupted = said.startswith(_INTERRUPTED) if said else chain.interrupted
        chain.request_ns = self._at_ns

    def _begin(self, chain: _Chain, row: Mapping[str, Any], message: Mapping[str, Any]) -> Begin:
        prompt = (_texts(message) or None) if row.get("type") == "user" else None
        parent, call_id, name = None, None, None
        session = text(row, "sessionId") or self._session
        if chain.key != session:
            parent = session
            above = self._chains.get(session or "")
            call_id, name = above.prompts.pop(prompt, (None, None)) if above is not None and prompt is not None else (None, None)
        project = os.path.basename((text(row, "cwd") or "").rstrip("/\\")) or NAME
        details = {key: row[key] for key in ("cwd", "gitBranch", "version", "agentId", "slug") if isinstance(row.get(key), str)}
        return Begin(
            chain.key,
            self._at_ns,
            name or title(prompt, project),
            text(row, "attributionAgent") or (NAME if parent is None else "sub-agent"),
            prompt,
            parent,
            call_id,
            session,
            details=details,
        )

    def _said(
        self, chain: _Chain, row: Mapping[str, Any], message: Mapping[str, Any], blocks: list[Mapping[str, Any]]
    ) -> Iterator[Event]:
        """A block, or several, of an answer."""
        if row.get("isApiErrorMessage") is True or message.get("model") == _SYNTHETIC:
            yield from self._answered(chain)
            yield from self._failed(chain, row, message)
            return
        id_ = text(message, "id") or text(row, "requestId") or text(row, "uuid") or f"answer-{chain.answers}"
        if chain.pending is None or chain.pending["id"] != id_:
            yield from self._answered(chain)
            chain.pending = {**message, "id": id_, "type": "message", "content": []}
            chain.pending_ns = (min(chain.request_ns, self._at_ns), self._at_ns)
        chain.interrupted, chain.failed = False, None
        self._add(chain, row, message, blocks)
        for block in blocks:
            yield from self._block(chain, block)

    def _add(self, chain: _Chain, row: Mapping[str, Any], message: Mapping[str, Any], blocks: list[Mapping[str, Any]]) -> None:
        pending = chain.pending
        assert pending is not None
        pending["content"].extend(blocks)
        for key in ("usage", "stop_reason", "model"):
            if message.get(key) is not None:
                pending[key] = message[key]
        chain.model = text(pending, "model") or chain.model
        chain.pending_ns = (chain.pending_ns[0], max(chain.pending_ns[1], self._at_ns))
        cost = number(row, "costUSD")
        chain.cost_usd = cost if cost is not None else chain.cost_usd

    def _block(self, chain: _Chain, block: Mapping[str, Any]) -> Iterator[Event]:
        kind = block.get("type")
        if kind == "text" and (said := text(block, "text")):
            chain.last_text = said
            yield Text(chain.key, self._at_ns, "output", said)
        elif kind == "thinking" and (said := text(block, "thinking")):
            yield Text(chain.key, self._at_ns, "thinking", said)
        elif kind in ("tool_use", "server_tool_use", "mcp_tool_use") and (call_id := text(block, "id")):
            name, given = text(block, "name") or "tool", mapping(block, "input")
            if name in _AGENT_TOOLS and (prompt := text(given, "prompt")):
                chain.prompts[prompt] = call_id, text(given, "description") or text(given, "subagent_type") or name
                if len(chain.prompts) > MAX_PROMPTS:
                    del chain.prompts[next(iter(chain.prompts))]
            yield ToolStart(chain.key, self._at_ns, call_id, name, block.get("input"))
        elif isinstance(kind, str) and kind.endswith("_tool_result"):
            yield _tool_end(chain.key, self._at_ns, block)

    def _answered(self, chain: _Chain) -> Iterator[Event]:
        """The answer under way is complete."""
        pending, chain.pending = chain.pending, None
        if pending is None:
            return
        cost, chain.cost_usd = chain.cost_usd, None
        chain.answers += 1
        if self._is_new(f"answer {chain.key} {pending['id']}"):
            begin, end = chain.pending_ns
            yield Answer(chain.key, begin, end, pending["id"], chain.model, "anthropic", pending, cost)

    def _failed(self, chain: _Chain, row: Mapping[str, Any], message: Mapping[str, Any]) -> Iterator[Event]:
        """The request failed: what is there in place of an answer."""
        said = _texts(message)
        if row.get("isApiErrorMessage") is not True:
            yield Text(chain.key, self._at_ns, "system", said)
            return
        chain.failed = said or "the request failed"
        chain.answers += 1
        key = text(row, "uuid") or f"failed-{chain.answers}"
        yield Answer(
            chain.key, min(chain.request_ns, self._at_ns), self._at_ns, key, chain.model, "anthropic", error=chain.failed
        )


def _texts(message: Mapping[str, Any]) -> str:
    said = message.get("content")
    return (
        said
        if isinstance(said, str)
        else "\n".join(said for block in objects(message, "content") if (said := text(block, "text")))
    )


def _tool_end(task: str, at_ns: int, block: Mapping[str, Any]) -> ToolEnd:
    result = block.get("content")
    error = None
    if block.get("is_error") is True:
        error = result if isinstance(result, str) else _texts(block)
    return ToolEnd(task, at_ns, text(block, "tool_use_id") or "", result, error or ("the tool failed" if error == "" else None))
