"""A model that needs no network: deterministic, plainly named, and no intelligence at all.

`OfflineClient` replaces ``anthropic.Anthropic()`` and answers in the shapes of Anthropic's Messages API, plain and streaming. A
token is a word or a punctuation mark; what was sent before counts as read from a cache.

Its answers follow rules over the conversation, the same for the same text. With tools it requests a listing, then the files
that its rules prefer, then the index. Without, it reads the first line of the last request and the facts in its ``json``
block, and writes a plan, a summary or a report from those.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otel_agentlog.demo.job import Pace

NAME = "agentlog-offline-demo"
PROVIDER = "offline"

DEMO_PRICES = {NAME: {"input_per_mtok": 1.0, "output_per_mtok": 5.0, "cache_read_per_mtok": 0.1}}
"""Dollars per million tokens. Made up, so that the demo has costs to show; nothing is charged."""

THINKING_TIME_S = 3.0
"""How long an answer takes with ``--slow``, in seconds."""

MOST_READS = 3

_TOKEN = re.compile(r"\w+|[^\w\s]")
_PIECE = re.compile(r"\s*\S+\s*|\s+")
_FACTS = re.compile(r"```json\n(.*?)\n```", re.DOTALL)
_WORTH_READING = ("readme", "__init__.py", "main", "index", "pyproject.toml", "package.json", "go.mod", "cargo.toml", "makefile")
_STEPS = (
    "look around: list the files, read the most telling ones",
    "check the syntax with the compiler, in a copy",
    "have the tests summarised by another agent",
    "compare with the last review",
    "weigh it all, write the report",
)
_TEXTUAL = (".py", ".md", ".rst", ".txt", ".toml", ".js", ".ts", ".go", ".rs", ".java", ".c", ".h", ".sh", ".yml", ".json")


class OfflineClient:
    """The client: ``OfflineClient(...).messages.create(model=…, messages=…)``. Not safe for several threads at once."""

    def __init__(self, seed: int, pace: Pace) -> None:
        self._seed, self._pace = seed, pace
        self._seen: set[str] = set()

    @property
    def messages(self) -> OfflineClient:
        """The Messages API."""
        return self

    def create(
        self,
        *,
        model: str,
        messages: Sequence[dict[str, Any]],
        max_tokens: int,
        system: str = "",
        tools: Sequence[dict[str, Any]] = (),
        stream: bool = False,
    ) -> Any:
        """Answer as ``POST /v1/messages`` does: a Message, or with ``stream`` the events of one."""
        answer = _answer(messages, tools, self._seed)
        mark = _hash(f"{self._seed} {_json([system, list(tools), list(messages)])}")
        calls = [
            {"type": "tool_use", "id": f"toolu_{mark[n : n + 20]}", "name": name, "input": dict(arguments)}
            for n, (name, arguments) in enumerate(answer.tools)
        ]
        text = [{"type": "text", "text": answer.text}] if answer.text else []
        message = {
            "id": f"msg_offline_{mark[:20]}",
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [{"type": "thinking", "thinking": answer.thinking, "signature": mark[:16]}, *text, *calls],
            "stop_reason": "tool_use" if calls else "end_turn",
            "stop_sequence": None,
            "usage": self._input_usage([system, list(tools)], messages) | _output_usage(answer, calls),
        }
        self._pace.show(THINKING_TIME_S * (0.2 if stream else 1))
        return self._events(message) if stream else message

    def _input_usage(self, start: object, messages: Sequence[dict[str, Any]]) -> dict[str, int]:
        """As Anthropic counts: ``input_tokens`` are only those that were not in the cache."""
        before = _json(start)
        total, cached = count_tokens(before), 0
        for message in messages:
            before += (text := _json(message))
            total += count_tokens(text)
            if (prefix := _hash(before)) in self._seen:
                cached = total
            self._seen.add(prefix)
        return {"input_tokens": total - cached, "cache_read_input_tokens": cached, "cache_creation_input_tokens": 0}

    def _events(self, message: dict[str, Any]) -> Iterator[dict[str, Any]]:
        usage = message["usage"]
        # The API names the output tokens at the end; at the start there is a placeholder.
        early = {**usage, "output_tokens": 1}
        yield {"type": "message_start", "message": {**message, "content": [], "stop_reason": None, "usage": early}}
        for index, block in enumerate(message["content"]):
            key = "thinking" if block["type"] == "thinking" else "text"
            yield {"type": "content_block_start", "index": index, "content_block": {**block, key: ""}}
            for piece in _PIECE.findall(block[key]):
                self._pace.show(0.1)
                yield {"type": "content_block_delta", "index": index, "delta": {"type": f"{key}_delta", key: piece}}
            yield {"type": "content_block_stop", "index": index}
        late = {"output_tokens": usage["output_tokens"], "output_tokens_details": usage["output_tokens_details"]}
        yield {"type": "message_delta", "delta": {"stop_reason": message["stop_reason"], "stop_sequence": None}, "usage": late}
        yield {"type": "message_stop"}


def count_tokens(text: str) -> int:
    """Tokens of a text, by this model's simple rule."""
    return len(_TOKEN.findall(text))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _output_usage(answer: _Answer, calls: Sequence[dict[str, Any]]) -> dict[str, Any]:
    thought = count_tokens(answer.thinking)
    written = thought + count_tokens(answer.text) + sum(count_tokens(_json(call)) for call in calls)
    return {"output_tokens": written, "output_tokens_details": {"thinking_tokens": thought}, "service_tier": "standard"}


@dataclass(frozen=True)
class _Answer:
    """The model's thinking and text, and the tools it requests: pairs of name and arguments."""

    thinking: str
    text: str
    tools: tuple[tuple[str, Mapping[str, Any]], ...] = ()


@dataclass(frozen=True)
class _Used:
    name: str
    content: str
    failed: bool

    @property
    def result(self) -> dict[str, Any]:
        return _object(self.content)


def _answer(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], seed: int) -> _Answer:
    """Answer the last message; ``seed`` decides between files that are equally worth reading."""
    if tools:
        return _explore(_used_tools(messages), seed)
    content = messages[-1]["content"] if messages else ""
    request = content if isinstance(content, str) else " ".join(block.get("text", "") for block in content)
    blocks = _FACTS.findall(request)
    facts = _object(blocks[-1]) if blocks else {}
    for word, write in (("plan", _plan), ("tests", _tests), ("weigh", _weigh), ("report", _report)):
        if re.search(rf"\b{word}\b", request.partition("\n")[0], re.IGNORECASE):
            return write(facts)
    return _Answer("Nothing here that I know how to answer.", "I am the offline demo model; I plan, summarise, weigh and report.")


def _used_tools(messages: Sequence[Mapping[str, Any]]) -> list[_Used]:
    names: dict[str, str] = {}
    used: list[_Used] = []
    for message in messages:
        for block in message["content"] if isinstance(message["content"], list) else ():
            if block["type"] == "tool_use":
                names[block["id"]] = block["name"]
            elif block["type"] == "tool_result":
                used.append(_Used(names.get(block["tool_use_id"], ""), block["content"], bool(block.get("is_error"))))
    return used


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _explore(used: list[_Used], seed: int) -> _Answer:
    listings, reads, indexes = ([each for each in used if each.name == name] for name in ("ListFiles", "Read", "ReadIndex"))
    if not listings:
        return _Answer("I know nothing of the directory yet; a listing comes first.", "", (("ListFiles", {"most": 200}),))
    chosen = _choose(listings[-1].result.get("files") or [], seed)
    if chosen and not reads:
        why = f"Of what is listed, {', '.join(chosen)} should tell most about the whole."
        return _Answer(why, "I read these files first.", tuple(("Read", {"path": name}) for name in chosen))
    if not indexes:
        why = "For lines, tests and open TODOs of all files the index is cheaper than reading them."
        return _Answer(why, "", (("ReadIndex", {}),))
    return _Answer("Everything I asked for has been answered.", _what_was_read(reads, indexes[-1]))


def _choose(files: list[dict[str, Any]], seed: int) -> list[str]:
    """A file that explains, one that is an entry, one of the largest: by name, size and seed."""
    texts = [file for file in files if str(file["path"]).lower().endswith(_TEXTUAL) and file["size_bytes"]]
    if not texts:
        return [file["path"] for file in files[:1]]
    named = sorted((file for file in texts if _rank(file["path"]) < len(_WORTH_READING)), key=lambda file: _rank(file["path"]))
    largest = sorted(texts, key=lambda file: (-file["size_bytes"], file["path"]))[:5]
    start = seed % len(largest)
    paths = [file["path"] for file in (*named[: MOST_READS - 1], *largest[start:], *largest[:start])]
    return list(dict.fromkeys(paths))[:MOST_READS]


def _rank(path: str) -> int:
    name = path.rpartition("/")[2].lower()
    return next((n for n, start in enumerate(_WORTH_READING) if name.startswith(start)), len(_WORTH_READING))


def _what_was_read(reads: list[_Used], index: _Used) -> str:
    texts = [str(each.result.get("text", "")) for each in reads if not each.failed]
    words = [f"I read {_number(len(texts), 'file')} with {_number(sum(text.count(chr(10)) for text in texts), 'line')}."]
    if refused := sum(each.failed for each in reads):
        words.append(f"{_number(refused, 'file')} could not be read.")
    if todos := index.result.get("todos"):
        words.append(f"{_number(todos, 'open TODO')} stand in the texts.")
    return " ".join(words)


def _plan(facts: dict[str, Any]) -> _Answer:
    files = int(facts.get("files") or 0)
    thinking = f"{_number(files, 'file')}, {_size(facts.get('size_bytes'))}: "
    thinking += "nothing to read, so it will be short." if not files else "a look at a few and a count over all will do."
    return _Answer(thinking, "\n".join(f"{n}. {step}" for n, step in enumerate(_STEPS, 1)))


def _tests(facts: dict[str, Any]) -> _Answer:
    files, tests = int(facts.get("test_files") or 0), int(facts.get("tests") or 0)
    if tests:
        text = f"{_number(tests, 'test')} in {_number(files, 'file')}, {tests / max(files, 1):.1f} a file."
    else:
        text = "There are no tests here." if not files else f"{_number(files, 'file')} look like tests but hold none."
    return _Answer(f"The index counts {tests} test functions.", text)


def _weigh(facts: dict[str, Any]) -> _Answer:
    problems, todos = facts.get("syntax_problems") or [], int(facts.get("todos") or 0)
    worst = f"{_number(len(problems), 'file')} cannot be compiled" if problems else "everything that was compiled compiles"
    left = f"Then there {'is' if todos == 1 else 'are'} {_number(todos, 'open TODO')}."
    text = f"First of all: {worst}. {left} {facts.get('tests_summary') or ''}"
    return _Answer("Syntax problems weigh most, then what is left to do, then the tests.", text.strip())


def _report(facts: dict[str, Any]) -> _Answer:
    def numbers(key: str, word: str, plural: str = "", more: int = 0) -> str:
        return _number(int(facts.get(key) or 0) + more, word, plural)

    problems, left_out = facts.get("syntax_problems") or [], int(facts.get("sources_left_out") or 0)
    compiled = numbers("sources_compiled", "Python file") + f" compiled{f', {left_out:,} left out' if left_out else ''}"
    rows = {
        "files": f"{facts.get('files', 0):,} in {numbers('directories', 'directory', 'directories', 1)}",
        "size": _size(facts.get("size_bytes")),
        "text": f"{numbers('texts', 'file')}, {numbers('lines', 'line')}",
        "open TODOs": f"{facts.get('todos', 0):,}",
        "tests": f"{facts.get('tests', 0):,} in {numbers('test_files', 'file')}",
        "syntax problems": f"{len(problems)} in {compiled}",
        "not looked at": _not_looked_at(facts),
    }
    text = f"# Review of `{facts.get('directory')}`\n\n| | |\n|---|---|\n"
    text += "".join(f"| {name} | {value} |\n" for name, value in rows.items())
    text += _listed("You added", [" ".join(str(each).split())[:200] for each in facts.get("user_added") or []])
    text += _listed("Largest files", [f"`{file['path']}` ({_size(file['size_bytes'])})" for file in facts.get("largest") or []])
    text += _listed("Syntax problems", problems)
    return _Answer(
        "The facts are all there; they only want to be written down.", f"{text}\n{facts.get('assessment', '')}".strip()
    )


def _not_looked_at(facts: dict[str, Any]) -> str:
    named = (("links", "link"), ("special", "special file"), ("unreadable", "unreadable one"), ("binary", "binary file"))
    found = [_number(count, word) for key, word in named if (count := facts.get(key))]
    if not facts.get("whole", True):
        found.append("and more: the directory is too large for a demo")
    return ", ".join(found) or "nothing"


def _listed(title: str, items: Sequence[str]) -> str:
    more = [f"… and {len(items) - 10} more"] if len(items) > 10 else []
    shown = "".join(f"- {item}\n" for item in [*items[:10], *more])
    return f"\n**{title}**\n\n{shown}" if items else ""


def _number(count: int, word: str, plural: str = "") -> str:
    return f"{count:,} {word if count == 1 else plural or word + 's'}"


def _size(size_bytes: object) -> str:
    size = float(size_bytes) if isinstance(size_bytes, (int, float)) else 0.0
    units = ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:,.{0 if units[0] == 'bytes' else 1}f} {units[0]}"
