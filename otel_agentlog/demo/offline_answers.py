"""What the offline model makes of what it reads: plain rules over the conversation, the same answer to the same words.

With tools at hand it asks for a listing, then for the files that look worth reading, then for the index. Without, it reads the
first line of the last request and the facts in its ``json`` block, and writes a plan, a summary or a report from those.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_READS = 3

_FACTS = re.compile(r"```json\n(.*?)\n```", re.DOTALL)
_WORTH_READING = ("readme", "__init__.py", "main", "index", "pyproject.toml", "package.json", "go.mod", "cargo.toml", "makefile")
_TEXTUAL = (".py", ".md", ".rst", ".txt", ".toml", ".js", ".ts", ".go", ".rs", ".java", ".c", ".h", ".sh", ".yml", ".json")


@dataclass(frozen=True)
class Answer:
    """What the model says, and which tools it asks for: pairs of name and arguments."""

    thinking: str
    text: str
    tools: tuple[tuple[str, Mapping[str, Any]], ...] = ()


@dataclass(frozen=True)
class _Used:
    name: str
    content: str
    failed: bool


def answer(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]], seed: int) -> Answer:
    """Answer the last message; ``seed`` decides between files that are equally worth reading."""
    if tools:
        return _explore(_used_tools(messages), seed)
    request = _last_text(messages)
    facts = _facts_in(request)
    for word, write in (("plan", _plan), ("tests", _tests), ("weigh", _weigh), ("report", _report)):
        if re.search(rf"\b{word}\b", request.partition("\n")[0], re.IGNORECASE):
            return write(facts)
    return Answer("Nothing here that I know how to answer.", "I am the offline demo model; I plan, summarise, weigh and report.")


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


def _last_text(messages: Sequence[Mapping[str, Any]]) -> str:
    content = messages[-1]["content"] if messages else ""
    return content if isinstance(content, str) else " ".join(block.get("text", "") for block in content)


def _facts_in(text: str) -> dict[str, Any]:
    blocks = _FACTS.findall(text)
    return _object(blocks[-1]) if blocks else {}


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _explore(used: list[_Used], seed: int) -> Answer:
    by_name = {name: [each for each in used if each.name == name] for name in ("ListFiles", "Read", "ReadIndex")}
    if not by_name["ListFiles"]:
        return Answer("I know nothing of the directory yet; a listing comes first.", "", (("ListFiles", {"most": 200}),))
    chosen = _choose(_object(by_name["ListFiles"][-1].content).get("files") or [], seed)
    if chosen and not by_name["Read"]:
        why = f"Of what is listed, {', '.join(chosen)} should tell most about the whole."
        return Answer(why, "I read these files first.", tuple(("Read", {"path": name}) for name in chosen))
    if not by_name["ReadIndex"]:
        why = "For lines, tests and open TODOs of all files the index is cheaper than reading them."
        return Answer(why, "", (("ReadIndex", {}),))
    return Answer("Everything I asked for has been answered.", _what_was_read(by_name["Read"], by_name["ReadIndex"][-1]))


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
    told = [_object(each.content) for each in reads if not each.failed]
    lines = sum(str(each.get("text", "")).count("\n") for each in told)
    refused = sum(each.failed for each in reads)
    words = [f"I read {_number(len(told), 'file')} with {_number(lines, 'line')}."]
    if refused:
        words.append(f"{_number(refused, 'file')} could not be read.")
    if todos := _object(index.content).get("todos"):
        words.append(f"{_number(todos, 'open TODO')} stand in the texts.")
    return " ".join(words)


def _plan(facts: dict[str, Any]) -> Answer:
    files = int(facts.get("files") or 0)
    steps = ["look around: list the files, read the most telling ones", "check the syntax with the compiler, in a copy"]
    steps += ["have the tests summarised by another agent", "compare with the last review", "weigh it all, write the report"]
    thinking = f"{_number(files, 'file')}, {_size(facts.get('size_bytes'))}: "
    thinking += "nothing to read, so it will be short." if not files else "a look at a few and a count over all will do."
    return Answer(thinking, "\n".join(f"{n}. {step}" for n, step in enumerate(steps, 1)))


def _tests(facts: dict[str, Any]) -> Answer:
    files, tests = int(facts.get("test_files") or 0), int(facts.get("tests") or 0)
    if not tests:
        text = "There are no tests here." if not files else f"{_number(files, 'file')} look like tests but hold none."
    else:
        text = f"{_number(tests, 'test')} in {_number(files, 'file')}, {tests / max(files, 1):.1f} a file."
    return Answer(f"The index counts {tests} test functions.", text)


def _weigh(facts: dict[str, Any]) -> Answer:
    problems, todos = facts.get("syntax_problems") or [], int(facts.get("todos") or 0)
    worst = f"{_number(len(problems), 'file')} cannot be compiled" if problems else "everything that was compiled compiles"
    left = f"Then there {'is' if todos == 1 else 'are'} {_number(todos, 'open TODO')}."
    text = f"First of all: {worst}. {left} {facts.get('tests_summary') or ''}"
    return Answer("Syntax problems weigh most, then what is left to do, then the tests.", text.strip())


def _report(facts: dict[str, Any]) -> Answer:
    rows = [
        ("files", f"{facts.get('files', 0):,} in {_number(int(facts.get('directories') or 0) + 1, 'directory', 'directories')}"),
        ("size", _size(facts.get("size_bytes"))),
        ("text", f"{_number(int(facts.get('texts') or 0), 'file')}, {_number(int(facts.get('lines') or 0), 'line')}"),
        ("open TODOs", f"{facts.get('todos', 0):,}"),
        ("tests", f"{facts.get('tests', 0):,} in {_number(int(facts.get('test_files') or 0), 'file')}"),
        ("syntax problems", _syntax(facts)),
        ("not looked at", _not_looked_at(facts)),
    ]
    text = f"# Review of `{facts.get('directory')}`\n\n| | |\n|---|---|\n"
    text += "".join(f"| {name} | {value} |\n" for name, value in rows)
    largest = [f"{file['path']}` ({_size(file['size_bytes'])})" for file in facts.get("largest") or []]
    text += _listed("You added", [" ".join(str(each).split())[:200] for each in facts.get("user_added") or []])
    text += _listed("Largest files", largest, "`") + _listed("Syntax problems", facts.get("syntax_problems") or [])
    return Answer("The facts are all there; they only want to be written down.", f"{text}\n{facts.get('assessment', '')}".strip())


def _syntax(facts: dict[str, Any]) -> str:
    left_out = int(facts.get("sources_left_out") or 0)
    beside = f", {left_out:,} left out" if left_out else ""
    problems = len(facts.get("syntax_problems") or [])
    return f"{problems} in {_number(int(facts.get('sources_compiled') or 0), 'Python file')} compiled{beside}"


def _not_looked_at(facts: dict[str, Any]) -> str:
    named = (("links", "link"), ("special", "special file"), ("unreadable", "unreadable one"), ("binary", "binary file"))
    found = [_number(count, word) for key, word in named if (count := facts.get(key))]
    if not facts.get("whole", True):
        found.append("and more: the directory is too large for a demo")
    return ", ".join(found) or "nothing"


def _listed(title: str, items: Sequence[str], before: str = "") -> str:
    shown = "".join(f"- {before}{item}\n" for item in items[:10])
    more = f"- … and {len(items) - 10} more\n" if len(items) > 10 else ""
    return f"\n**{title}**\n\n{shown}{more}" if items else ""


def _number(count: int, word: str, plural: str = "") -> str:
    return f"{count:,} {word if count == 1 else plural or word + 's'}"


def _size(size_bytes: object) -> str:
    size = float(size_bytes) if isinstance(size_bytes, (int, float)) else 0.0
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
