"""What was recorded as text that is the same in every run, and files that hold what it has to be."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import Path
from typing import Any

from otel_agentlog.store.folder.layout import AGENT_OUTPUT, FINAL_RESULT, WEBHOOK_FLOW
from otel_agentlog.testing.reading import RecordedTask
from otel_agentlog.testing.recorded import Recorded
from otel_agentlog.vocabulary.coerce import text as text_of

MAX_SHOWN = 40
"""Differences that a message has."""
MAX_VALUE_CHARACTERS = 200

_NUMBER = re.compile(r"(<[a-z0-9]+)-\d+>")


def golden_text(found: Recorded | RecordedTask, *, before: str = "", places: Mapping[str, str] | None = None) -> str:
    """The lines of a task, or of all tasks and the application log, as JSON, with ids, times and measurements made equal.

    ``before`` is text that goes before it, with the same ids in it; ``places`` maps further texts that differ from run to run to
    what stands for them.
    """
    parts = [*([before] if before else [])]
    errors: set[str] = set()
    for text, value in _recorded(found):
        parts.append(text)
        errors.update(_error_ids(value))
    root = found.folder if isinstance(found, Recorded) else found.folder.parent
    return normal_text("\n".join(parts).lstrip("\n") + "\n", places={str(root): "<tasks>", **(places or {})}, errors=errors)


def _recorded(found: Recorded | RecordedTask) -> Iterator[tuple[str, Any]]:
    tasks = found.tasks if isinstance(found, Recorded) else [found]
    for task in tasks:
        yield f"\n# task {task.name}: {task.metadata.get('status')}", None
        for name in (WEBHOOK_FLOW, AGENT_OUTPUT, FINAL_RESULT):
            yield from _file(task.folder / name)
    if isinstance(found, Recorded):
        for path in sorted(found.log_folder.glob("*.jsonl")):
            yield from _file(path)


def _file(path: Path) -> Iterator[tuple[str, Any]]:
    if not path.exists():
        return
    yield f"## {path.name}", None
    for raw in filter(None, path.read_bytes().split(b"\n")):
        value = _parsed(raw)
        if value is None:
            yield raw.decode("utf-8", "replace"), None  # a kill cut it
        elif (line := normal_json(value)) is not None:
            yield json.dumps(line, ensure_ascii=False), line


def _error_ids(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("error_id"), str):
            yield value["error_id"]
        for item in value.values():
            yield from _error_ids(item)
    elif isinstance(value, list):
        for item in value:
            yield from _error_ids(item)


def assert_golden(
    found: Recorded | RecordedTask,
    path: Path,
    *,
    update: bool = False,
    how: str = "update=True",
    before: str = "",
    places: Mapping[str, str] | None = None,
) -> bool:
    """Assert that what was recorded is what a file says; with ``update`` write the file. Returns whether it was written.

    ``before`` and ``places`` are those of `golden_text`.

    Raises:
        AssertionError: it is something else, or there is no such file. The message has what differs, line by line and key by key,
            and ``how`` the file is written.
    """
    __tracebackhide__ = True  # pytest shows the place in the test
    text = golden_text(found, before=before, places=places)
    known = path.read_text("utf-8") if path.exists() else None
    if known is not None and known.rstrip("\n") == text.rstrip("\n"):
        return False
    if update:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return True
    if known is None:
        raise AssertionError(
            f"expected a golden file, found none at {path}; write it with {how}, and read it before you commit it"
        )
    shown = list(differences(known, text))
    more = [f"… {len(shown) - MAX_SHOWN} more"] if len(shown) > MAX_SHOWN else []
    listed = "\n".join(["", *shown[:MAX_SHOWN], *more])
    raise AssertionError(f"recorded is something else than {path} says; if it is right: {how}, and read the difference{listed}")


def differences(expected: str, found: str) -> Iterator[str]:
    """What differs between two such texts, for people. Numbers of ids are shown only where nothing else differs."""
    left, right = expected.rstrip("\n").split("\n"), found.rstrip("\n").split("\n")
    unnumbered = list(_differences([_NUMBER.sub(r"\1>", line) for line in left], [_NUMBER.sub(r"\1>", line) for line in right]))
    yield from unnumbered or _differences(left, right)


def _differences(left: list[str], right: list[str]) -> Iterator[str]:
    heading = ""
    for verb, start, end, first, last in difflib.SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        before, after = left[start:end], right[first:last]
        if verb != "equal":
            place = _heading(right[: first + 1]) or _heading(left[: start + 1])
            if place != heading:
                heading = place
                yield f"in {heading}:"
            paired = min(len(before), len(after)) if verb == "replace" else 0
            for one, other in zip(before[:paired], after[:paired], strict=True):
                yield from _changed(one, other)
            yield from (f"  - {_brief(line)}" for line in before[paired:])
            yield from (f"  + {_brief(line)}" for line in after[paired:])


def _heading(lines: list[str]) -> str:
    """The task and the file that the last of these lines is of."""
    task = next((line[2:] for line in reversed(lines) if line.startswith("# ")), "")
    file = next((line[3:] for line in reversed(lines) if line.startswith("## ")), "")
    return ", ".join(filter(None, (task, file)))


def _parsed(line: str | bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _brief(line: str) -> str:
    """What a line is about."""
    value = _parsed(line)
    if value is None:
        return line[:MAX_VALUE_CHARACTERS]
    words = (value.get(key) for key in ("type", "stage", "action", "message", "content", "outcome"))
    return " · ".join(str(word)[:60] for word in words if word) or line[:MAX_VALUE_CHARACTERS]


def _changed(before: str, after: str) -> Iterator[str]:
    """The keys that differ between two lines; both whole where they are about different things."""
    left, right = _parsed(before), _parsed(after)
    if left is None or right is None or _brief(before) != _brief(after):
        yield f"  - {_brief(before)}"
        yield f"  + {_brief(after)}"
        return
    yield f"    {_brief(after)}"
    yield from (f"      {text}" for text in _keys(left, right, ""))


def _keys(left: Any, right: Any, where: str) -> Iterator[str]:
    if isinstance(left, dict) and isinstance(right, dict):
        for key in dict.fromkeys((*left, *right)):
            inner = f"{where}.{key}" if where else key
            if key not in right:
                yield f"{inner}: expected {_value(left[key])}, found nothing"
            elif key not in left:
                yield f"{inner}: expected nothing, found {_value(right[key])}"
            else:
                yield from _keys(left[key], right[key], inner)
    elif left != right:
        yield f"{where}: expected {_value(left)}, found {_value(right)}"


def _value(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_VALUE_CHARACTERS else f"{text[:MAX_VALUE_CHARACTERS]}… ({len(text)} characters)"


def file_name(test: str) -> str:
    """A file's name for a test's, also a parametrised one."""
    return re.sub(r"[^A-Za-z0-9_.=-]+", "-", test).strip("-.")[:120] or "golden"


# -- what differs from run to run made equal: ids, times, durations, measurements, places on the disk ---------------------------
#
# An id is replaced by what it is and a number in the order of appearance (``<error-1>``), the same everywhere: a golden file
# shows that an id that was printed is the one that was recorded.

LEFT_OUT_TYPES = {"process"}
"""Types of lines that say something about the machine and the process only."""
LEFT_OUT_ACTIONS = {"resource_usage_sampled"}
"""Actions of lines that come as often as time allows."""
LEFT_OUT_KEYS = {"line", "pid", "host", "trace_flags", "scope", "resources", "left_behind"}
"""Keys that say something about the machine, the process or where the code stands only."""
MEASURED = re.compile(
    r"(duration|elapsed|latency|cpu|memory|rss|disk|wall|wait|time_to_first|user_time|system_time|max_rss|peak)\w*|\w*_duration_ms"
)
"""Keys whose value is measured, or drawn by lot."""

_RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("time", re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")),
    ("port", re.compile(r"(?<=127\.0\.0\.1:)\d{4,5}\b")),
    ("uuid", re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")),
    ("event", re.compile(r"\b[0-9a-f]{8}-\d+\b")),
    ("sha256", re.compile(r"\b[0-9a-f]{64}\b")),
    ("trace", re.compile(r"\b[0-9a-f]{32}\b")),
    ("span", re.compile(r"\b[0-9a-f]{16}\b")),
    ("task", re.compile(r"\btask-[0-9a-z]{10,40}\b")),
    ("duration", re.compile(r"(?<![\w<-])\d+(?:\.\d+)? ?(?:ns|µs|ms|s|MB|MiB)\b")),
)
_UNNUMBERED = {"time", "port", "duration", "event"}


def normal_json(value: Any) -> Any:
    """One line or document with measurements replaced; ``None`` for a line that is left out."""
    if text_of(value, "type") in LEFT_OUT_TYPES or text_of(value, "action") in LEFT_OUT_ACTIONS:
        return None
    return _normal(value)


def _normal(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {key: _of_key(key, item) for key, item in value.items() if key not in LEFT_OUT_KEYS}
        return {key: item for key, item in kept.items() if key not in ("attributes", "metrics") or item}
    return [_normal(item) for item in value] if isinstance(value, list) else value


def _of_key(key: str, value: Any) -> Any:
    if key == "traceback":
        return "<traceback>"
    if key == "attributes" and isinstance(value, dict):
        # What the conventions make of a line is tested elsewhere; the user's own is left.
        return _normal({name: item for name, item in value.items() if not name.startswith(("gen_ai.", "agentlog."))})
    if key == "price" and isinstance(value, dict):
        return {name: item for name, item in value.items() if name != "version"}
    if key == "metrics":
        return {name: item for name, item in _normal(value).items() if not name.startswith(("memory", "cpu", "disk"))}
    if not isinstance(value, (dict, list)) and MEASURED.fullmatch(key.rpartition(".")[2]):
        return "<measured>"
    return _normal(value)


def normal_text(text: str, *, places: Mapping[str, str], errors: Set[str]) -> str:
    """The text with everything replaced that is another one in each run."""
    for place, word in sorted(places.items(), key=lambda item: -len(item[0])):
        text = text.replace(place, word)
    if errors:
        text = re.sub(rf"\b(?:{'|'.join(sorted(map(re.escape, errors)))})\b", _numbered("error"), text)
    for word, pattern in _RULES:
        text = pattern.sub(f"<{word}>" if word in _UNNUMBERED else _numbered(word), text)
    return text


def _numbered(word: str) -> Callable[[re.Match[str]], str]:
    seen: dict[str, int] = {}
    return lambda match: f"<{word}-{seen.setdefault(match[0], len(seen) + 1)}>"
