"""``registry.json``: which scripts there are, how they are started, what they may and what they must be given.

The format is described in ``docs/tool-execution.md``. Everything is checked when it is loaded, and all that is wrong is
in one error: file, script, key, what was expected, what was found.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.error_handling.category import ErrorCategory
from otel_agentlog.errors import AgentlogError, ConfigurationError
from otel_agentlog.tools.scripts.schema import check_schema

MAX_REGISTRY_BYTES = 4 << 20
_OWN = {"path", "argv", "input_schema", "description"}


class RegistryError(AgentlogError, ValueError):
    """A registry that cannot be used; ``problems`` lists everything that is wrong with it."""

    __module__ = "otel_agentlog.tools"

    def __init__(self, file: Path, problems: list[RegistryProblem]) -> None:
        self.file, self.problems = file, problems
        super().__init__("\n".join(f"{file}: {problem}" for problem in problems))

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.file, self.problems), self.__dict__


@dataclass(frozen=True)
class RegistryProblem:
    """One error in a registry."""

    key: str
    expected: str
    found: Any
    script_id: str | None = None

    def __str__(self) -> str:
        where = f"script {self.script_id!r}: {self.key}" if self.script_id is not None else self.key
        return f"{where}: expected {self.expected}, found {_shown(self.found)}"


@dataclass(frozen=True)
class Script:
    """One entry of a registry, with defaults filled in."""

    id: str
    folder: Path
    """The registry's folder; relative paths start here."""
    path: str | None = None
    argv: tuple[str, ...] = ()
    specialist: str = ""
    description: str = ""
    input_schema: Mapping[str, Any] = field(default_factory=dict)
    inputs_by: str = "stdin"
    output: str = "text"
    timeout_s: float = 60.0
    grace_s: float = 2.0
    retries: int = 0
    retry_on: tuple[str, ...] | None = None
    retry_wait_s: float = 0.5
    memory_limit_mb: float | None = None
    max_output_bytes: int = 1 << 20
    on_too_much_output: str = "discard"
    environment: tuple[str, ...] = ("PATH", "LANG", "LC_ALL", "TZ")
    cwd: str | None = None
    sandbox: Mapping[str, Any] = field(default_factory=dict)

    @property
    def known(self) -> dict[str, str]:
        """What identifies it in the context of an error: id, file and specialist, as far as it has them."""
        found = {"script_id": self.id, "script_path": self.path, "specialist": self.specialist}
        return {key: value for key, value in found.items() if value}


@dataclass(frozen=True)
class Registry:
    """All scripts of one file, by id."""

    file: Path
    scripts: Mapping[str, Script]


def load_registry(file: str | Path) -> Registry:
    """Read and check a registry.

    Raises:
        RegistryError: the file cannot be read, is no JSON, or has an entry that cannot be used.
        ConfigurationError: ``file`` is no path.
    """
    try:
        path = Path(file).absolute()
    except Exception as error:
        raise_interrupt()
        # Broad, as it may be any object.
        raise ConfigurationError("registry", file, "a path") from error
    document = _read(path)
    problems = list(_document_problems(document))
    if problems:
        raise RegistryError(path, problems)
    defaults = document.get("defaults", {})
    entries = {name: {**defaults, **entry} for name, entry in document["scripts"].items()}
    for name, entry in entries.items():
        problems += [RegistryProblem(*problem, script_id=name) for problem in _entry_problems(name, entry, path.parent)]
    if problems:
        raise RegistryError(path, problems)
    return Registry(path, {name: _script(name, entry, path.parent) for name, entry in entries.items()})


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_REGISTRY_BYTES + 1)
    except (OSError, ValueError) as error:
        raise_interrupt()
        raise RegistryError(
            path, [RegistryProblem("file", "a file that can be read", getattr(error, "strerror", None) or str(error))]
        ) from None
    if len(data) > MAX_REGISTRY_BYTES:
        raise RegistryError(path, [RegistryProblem("file", f"at most {MAX_REGISTRY_BYTES} bytes", "more")])
    doubled: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        entry = dict(pairs)
        doubled.extend(
            sorted({key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1}) if len(entry) < len(pairs) else []
        )
        return entry

    try:
        document = json.loads(data.decode("utf-8"), object_pairs_hook=unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise_interrupt()
        raise RegistryError(path, [RegistryProblem("file", "JSON in UTF-8", str(error))]) from None
    if doubled:
        raise RegistryError(path, [RegistryProblem(key, "one entry", "two of that name") for key in doubled])
    if not isinstance(document, dict):
        raise RegistryError(path, [RegistryProblem("file", "a JSON object", document)])
    return document


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _document_problems(document: Mapping[str, Any]) -> Iterator[RegistryProblem]:
    for key in document:
        if key not in ("version", "defaults", "scripts", "$schema", "$comment"):
            yield RegistryProblem(key, "one of version, defaults, scripts", document[key])
    if document.get("version") != 1 or isinstance(document.get("version"), bool):
        yield RegistryProblem("version", "1", document.get("version"))
    for key in ("scripts", "defaults"):
        if not isinstance(document.get(key, {} if key == "defaults" else None), dict):
            yield RegistryProblem(key, "an object", document.get(key))
    defaults = document.get("defaults")
    for key, value in defaults.items() if isinstance(defaults, dict) else ():
        if key in _OWN or key not in FIELDS:
            yield RegistryProblem(f"defaults.{key}", f"one of {', '.join(sorted(set(FIELDS) - _OWN))}", value)
    scripts = document.get("scripts")
    for name, entry in scripts.items() if isinstance(scripts, dict) else ():
        if not isinstance(entry, dict):
            yield RegistryProblem("entry", "an object", entry, script_id=name)


def _entry_problems(name: str, entry: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, str, Any]]:
    if not ID.fullmatch(name):
        yield "id", "letters, digits, '.', '_' and '-', at most 128, the first a letter or digit", name
    for key, value in entry.items():
        if key not in FIELDS:
            yield key, f"one of {', '.join(sorted(FIELDS))}", value
        elif not FIELDS[key].accepts(value):
            yield key, FIELDS[key].expected, value
    if ("path" in entry) == ("argv" in entry):
        yield "path", "either path or argv", "both" if "path" in entry else "neither"
    if isinstance(entry.get("path"), str) and not (folder / entry["path"]).is_file():
        yield "path", "a file", str(folder / entry["path"])
    for at, expected, found in check_schema(entry.get("input_schema", {})):
        yield f"input_schema{at}", expected, found
    yield from _sandbox_problems(entry.get("sandbox"))


def _sandbox_problems(sandbox: Any) -> Iterator[tuple[str, str, Any]]:
    for key, value in sandbox.items() if isinstance(sandbox, dict) else ():
        if key not in SANDBOX:
            yield f"sandbox.{key}", f"one of {', '.join(SANDBOX)}", value
        elif not SANDBOX[key].accepts(value):
            yield f"sandbox.{key}", SANDBOX[key].expected, value


def _script(name: str, entry: Mapping[str, Any], folder: Path) -> Script:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    values.pop("$comment", None)
    return Script(id=name, folder=folder, **values)


def _shown(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value)
    return "nothing" if value is None else text if len(text) <= 200 else f"{text[:200]}…"


ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CATEGORIES = tuple(category.value for category in ErrorCategory)


@dataclass(frozen=True)
class Field:
    """A key of a script in ``registry.json``: a predicate for its values, and the text that describes them."""

    accepts: Callable[[Any], bool]
    expected: str


def _number(least: float, most: float = math.inf, *, above: bool = False, whole: bool = False) -> Callable[[Any], bool]:
    def accepts(value: Any) -> bool:
        kinds = int if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds) or not math.isfinite(value):
            return False
        return (least < value if above else least <= value) and value <= most

    return accepts


def _text(value: Any) -> bool:
    return isinstance(value, str) and "\0" not in value


def _some_text(value: Any) -> bool:
    return _text(value) and bool(value)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value))


def _variables(value: Any) -> bool:
    return _texts(value) and all(_VARIABLE.fullmatch(name) for name in value)


def _one_of(*known: str) -> Field:
    return Field(lambda value: isinstance(value, str) and value in known, " or ".join(repr(word) for word in known))


FIELDS: Mapping[str, Field] = {
    "path": Field(_some_text, "the path of a file that can be executed"),
    "argv": Field(lambda value: _texts(value) and bool(value) and bool(value[0]), "a list of texts, the program first"),
    "specialist": Field(_text, "a text"),
    "description": Field(_text, "a text"),
    "input_schema": Field(lambda value: isinstance(value, dict), "a schema: an object"),
    "inputs_by": _one_of("stdin", "environment"),
    "output": _one_of("text", "json"),
    "timeout_s": Field(_number(0, 86_400, above=True), "a number of seconds above 0, at most 86400"),
    "grace_s": Field(_number(0, 60), "a number of seconds from 0 to 60"),
    "retries": Field(_number(0, 20, whole=True), "a whole number from 0 to 20"),
    "retry_on": Field(
        lambda value: _texts(value) and all(name in _CATEGORIES for name in value), f"a list of {', '.join(_CATEGORIES)}"
    ),
    "retry_wait_s": Field(_number(0, 3600), "a number of seconds from 0 to 3600"),
    "memory_limit_mb": Field(_number(1), "a number of MB, 1 or more"),
    "max_output_bytes": Field(_number(1, 1 << 30, whole=True), "a whole number of bytes from 1 to 1073741824"),
    "on_too_much_output": _one_of("discard", "stop"),
    "environment": Field(_variables, "a list of names of environment variables"),
    "cwd": Field(_some_text, "the path of a folder"),
    "sandbox": Field(lambda value: isinstance(value, dict), "an object"),
    "$comment": Field(lambda value: True, "anything"),
}

SANDBOX: Mapping[str, Field] = {
    "read": Field(_texts, "a list of paths"),
    "write": Field(_texts, "a list of paths"),
    "network": Field(lambda value: isinstance(value, bool), "true or false"),
    "attributes": Field(lambda value: isinstance(value, bool), "true or false"),
    "best_effort": Field(lambda value: isinstance(value, bool), "true or false"),
}
