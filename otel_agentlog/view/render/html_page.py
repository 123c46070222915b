"""One task as one HTML file that opens without server and network: the page of `agentlog serve`, with its answers in it.

The modules of the page import each other by relative addresses, which a file has not: here each is a ``data:`` URL under a
bare name in an import map, and ``offline.js`` takes the place of ``api.js``. Data is JSON that is never markup or code, and the
content security policy of the page lets nothing run but its own modules.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from otel_agentlog.query import report
from otel_agentlog.settings.version import __version__
from otel_agentlog.store.folder.layout import LINE_FILE_NAMES
from otel_agentlog.store.folder.reader import TaskReader
from otel_agentlog.view.render.json_line import json_line
from otel_agentlog.view.render.show.task_json import page_of_task
from otel_agentlog.vocabulary.lines import FORMAT_VERSION
from otel_agentlog.vocabulary.terminal_text import safe_lines

WEB = Path(__file__).parents[1] / "web"
"""The files of the page."""

MAX_LINES = 100_000
"""Most lines of a file that go into the page; a note in it marks where some are missing."""

MAX_ARTIFACT_BYTES = 8 * 1024 * 1024
"""Most bytes of all artifacts together; the others are left out."""

_IMPORT = re.compile(r'(from\s+|import\s+)"\.{1,2}/(?:\w+/)?([\w-]+)\.js"')
_ARTIFACT = re.compile(rb'"\$artifact":\{[^{}]*?"sha256":"([0-9a-f]{64})"')
_OFFLINE = ".offline .places, .offline .find { display: none; } .offline .tools { margin-left: auto; }"
_NOSCRIPT = re.compile(r"<noscript>.*?</noscript>", re.DOTALL)
MAX_TEXT = 100_000
"""Most characters of input and result that are shown without JavaScript."""
_MAIN = 'import "agentlog/main";'


def html_page(task: TaskReader, trace_url: str | None = None) -> Iterator[bytes]:
    """Yield the page in pieces. ``trace_url`` is a template with ``{trace_id}``."""
    data = _data(task, trace_url)
    before, _, after = _template().partition("@DATA@")
    yield before.encode()
    yield _inert(json_line(data))
    yield _NOSCRIPT.sub(lambda _: f"<noscript>{_without_script(data['task'])}</noscript>", after).encode("utf-8", "replace")


def _without_script(found: dict[str, Any]) -> str:
    """What is most important, for those who have JavaScript switched off: how it ended, and why."""
    error = found["error"] or {}
    parts = [("h1", found["name"]), ("p", f"{found['task_id']}: {str(found['status']).replace('_', ' ')}")]
    if error:
        parts += [("h2", "Why it failed"), ("p", f"{error.get('type')}: {error.get('message')}")]
        parts += [("p", f"{error.get('category')} {error.get('error_id')}")]
    for title, value in (("Result", found["result"]), ("Input", found["input"])):
        if value is not None:
            parts += [("h2", title), ("pre", value if isinstance(value, str) else json_line(value).decode())]
    parts.append(("p", "All else in this file, each step, AI call, tool run and line, is drawn by JavaScript, which is off."))
    return "".join(f"<{tag}>{escape(_readable(str(text)[:MAX_TEXT]))}</{tag}>" for tag, text in parts)


def _readable(text: str) -> str:
    """A text without control and direction characters; its lines stay."""
    return "\n".join(safe_lines(text))


def _data(task: TaskReader, trace_url: str | None) -> dict[str, Any]:
    found = page_of_task(report(task), trace_url)
    lines = {word: _first_lines(task, name, found["problems"]) for word, name in LINE_FILE_NAMES.items()}
    return {
        "about": {"version": __version__, "format_version": FORMAT_VERSION, "root": "", "control": False, "trace_url": trace_url},
        "key": task.folder.name,
        "task": found,
        "lines": lines,
        "documents": {"metadata": task.metadata(), "input": task.input(), "final-result": task.final_result()},
        "artifacts": _artifacts(task, json_line([lines, found["input"], found["result"]])),
    }


def _first_lines(task: TaskReader, name: str, problems: list[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for line in task.lines(name):
        if len(found) == MAX_LINES:
            problems.append(f"{name}: only the first {MAX_LINES:,} lines are in this export")
            break
        found.append(line)
    return found


def _artifacts(task: TaskReader, naming: bytes) -> dict[str, str]:
    """The artifacts that some JSON names, in Base64 by their SHA-256."""
    found: dict[str, str] = {}
    room = MAX_ARTIFACT_BYTES
    for sha256 in dict.fromkeys(match.decode() for match in _ARTIFACT.findall(naming)):
        raw = bytearray()
        for chunk in task.artifact(sha256):
            raw += chunk
            if len(raw) > room:
                break
        else:
            room -= len(raw)
            found[sha256] = base64.b64encode(raw).decode()
    return found


def _inert(data: bytes) -> bytes:
    """JSON that ends no ``<script>`` and begins no comment, whatever its texts hold."""
    return data.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")


def _template() -> str:
    page = (WEB / "index.html").read_text(encoding="utf-8")
    names = re.findall(r'<link rel="stylesheet" href="web/([\w./-]+)">', page)
    style = "\n".join((WEB / name).read_text(encoding="utf-8") for name in names)
    mark = base64.b64encode((WEB / "mark.svg").read_bytes()).decode()
    page = re.sub(r'<link rel="stylesheet"[^>]*>\n?', "", page)
    page = page.replace('href="web/mark.svg"', f'href="data:image/svg+xml;base64,{mark}"')
    modules = {path.stem: path for path in WEB.rglob("*.js")}
    modules["api"] = modules.pop("offline")
    imports = ",".join(f'"agentlog/{name}":"{_module(modules[name])}"' for name in sorted(modules))
    style, imports = f"{style}\n{_OFFLINE}", f'{{"imports":{{{imports}}}}}'
    head = "\n".join(
        [
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(style, imports)}">',
            f"<style>{style}</style>",
            f'<script type="importmap">{imports}</script>',
            '<script type="application/json" id="agentlog-data">@DATA@</script>',
            f'<script type="module">{_MAIN}</script>',
        ]
    )
    # A function, because what is put in has backslashes of its own.
    return re.sub(r'<script type="module" src="web/main\.js"></script>', lambda _: head, page)


def _policy(style: str, imports: str) -> str:
    scripts = f"{_hash(imports)} {_hash(_MAIN)} data:"
    others = "img-src data: blob:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; script-src {scripts}; style-src {_hash(style)}; {others}"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _module(path: Path) -> str:
    """A module as a ``data:`` URL, its imports by bare names."""
    bare = _IMPORT.sub(r'\1"agentlog/\2"', path.read_text(encoding="utf-8"))
    return f"data:text/javascript;base64,{base64.b64encode(bare.encode()).decode()}"
