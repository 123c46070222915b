"""Hides how a value is held against a JSON Schema, for the part of the language that our own schemas use.

``type const enum pattern minLength minimum maximum required properties items allOf if/then/else $ref`` (local) and truth values.
A keyword outside this list is refused when the schema is compiled, so a schema is never read more loosely than it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, TypeAlias

import orjson

SCHEMA_NAMES = ("metadata", "input", "final-result", "webhook-line", "event-line", "control-line")
"""Names of the schemas that ship with the package."""


class Mismatch(NamedTuple):
    """Where a value is not what its schema says."""

    path: str
    """Like ``details.price.source`` or ``tags[2]``; empty for the value itself."""
    expected: str
    found: str


Check: TypeAlias = Callable[[Any], list[Mismatch]]
"""Takes a value and returns its mismatches."""

_Schema: TypeAlias = Mapping[str, Any]
_Part: TypeAlias = Callable[[Any, str, "list[Mismatch] | None"], bool]
"""Whether a value fits; where a list is given, mismatches are added to it, else the first one is enough."""


@cache
def schema(name: str) -> dict[str, Any]:
    """Return one of `SCHEMA_NAMES`, a JSON Schema of draft 2020-12. Treat it as read-only."""
    found: dict[str, Any] = orjson.loads(files("otel_agentlog.store").joinpath(f"schemas/{name}.schema.json").read_bytes())
    return found


@cache
def checker(name: str) -> Check:
    """Return the check of one of `SCHEMA_NAMES`."""
    return compiled(schema(name))


def compiled(root: _Schema) -> Check:
    """Return the check of a schema.

    Raises:
        ValueError: it uses a keyword that is not understood here.
    """
    fits = _Compiler(root).part(root)

    def check(value: Any) -> list[Mismatch]:
        mismatches: list[Mismatch] = []
        # Nearly every line fits, and finding that out is much cheaper than saying where one does not.
        if not fits(value, "", None):
            fits(value, "", mismatches)
        return mismatches

    return check


def shown(value: Any, length: int = 80) -> str:
    """Return a value for an error message: short, printable, never more than a glimpse of the contents."""
    if isinstance(value, (dict, list)):
        return f"{_type_name(value)} of {len(value)}"
    text = orjson.dumps(value).decode() if isinstance(value, (str, bool, type(None))) else str(value)
    text = text.encode("ascii", "backslashreplace").decode("ascii")
    return text if len(text) <= length else f"{text[: length - 1]}…"


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
}


def _type_name(value: Any) -> str:
    return next(name for name, test in _TYPES.items() if test(value))


class _Compiler:
    def __init__(self, root: _Schema) -> None:
        self._root = root
        self._known: dict[str, _Part] = {}
        self._makers: Mapping[str, Callable[[Any], _Part]] = {
            "$ref": self._ref,
            "type": _type,
            "const": lambda constant: _enum([constant]),
            "enum": _enum,
            "pattern": _pattern,
            "minLength": lambda least: _test(lambda v: not isinstance(v, str) or len(v) >= least, f"at least {least} characters"),
            "minimum": lambda limit: _test(lambda v: not _TYPES["number"](v) or v >= limit, f"at least {limit}"),
            "maximum": lambda limit: _test(lambda v: not _TYPES["number"](v) or v <= limit, f"at most {limit}"),
            "required": _required,
            "properties": self._properties,
            "items": self._items,
            "allOf": lambda parts: _all([self.part(part) for part in parts]),
        }

    def part(self, part: _Schema | bool) -> _Part:
        if isinstance(part, bool):
            return _test(lambda value: part, "nothing")
        parts = [self._conditional(part)] if "if" in part else []
        for keyword, argument in part.items():
            if keyword in self._makers:
                parts.append(self._makers[keyword](argument))
            elif keyword not in _PASSED_OVER:
                raise ValueError(f"JSON Schema keyword {keyword!r} is not understood")
        return parts[0] if len(parts) == 1 else _all(parts)

    def _ref(self, reference: str) -> _Part:
        if reference not in self._known:
            # A schema that refers to itself finds this stand-in.
            self._known[reference] = lambda value, path, out: self._known[reference](value, path, out)
            part = self._root
            for step in reference.removeprefix("#/").split("/"):
                part = part[step]
            self._known[reference] = self.part(part)
        return self._known[reference]

    def _properties(self, schemas: _Schema) -> _Part:
        parts = {key: self.part(part) for key, part in schemas.items()}

        def fits(value: Any, path: str, out: list[Mismatch] | None) -> bool:
            if not isinstance(value, dict):
                return True
            fine = True
            for key, part in parts.items():
                if key in value and not part(value[key], _joined(path, key) if out is not None else "", out):
                    if out is None:
                        return False
                    fine = False
            return fine

        return fits

    def _items(self, item_schema: _Schema | bool) -> _Part:
        part = self.part(item_schema)

        def fits(value: Any, path: str, out: list[Mismatch] | None) -> bool:
            if not isinstance(value, list):
                return True
            fitting = [part(item, f"{path}[{index}]", out) for index, item in enumerate(value)]
            return all(fitting)

        return fits

    def _conditional(self, part: _Schema) -> _Part:
        condition, yes, no = self.part(part["if"]), self.part(part.get("then", True)), self.part(part.get("else", True))
        return lambda value, path, out: (yes if condition(value, path, None) else no)(value, path, out)


_PASSED_OVER = frozenset({"$schema", "$id", "$defs", "title", "description", "if", "then", "else"})


def _all(parts: list[_Part]) -> _Part:
    def fits(value: Any, path: str, out: list[Mismatch] | None) -> bool:
        fine = True
        for part in parts:
            if not part(value, path, out):
                if out is None:
                    return False
                fine = False
        return fine

    return fits


def _test(passes: Callable[[Any], bool], expected: str) -> _Part:
    def fits(value: Any, path: str, out: list[Mismatch] | None) -> bool:
        if passes(value):
            return True
        if out is not None:
            out.append(Mismatch(path, expected, shown(value)))
        return False

    return fits


def _type(names: str | list[str]) -> _Part:
    if isinstance(names, str):
        return _test(_TYPES[names], names)
    tests = [_TYPES[name] for name in names]
    return _test(lambda value: any(test(value) for test in tests), " or ".join(names))


def _enum(members: list[Any]) -> _Part:
    if all(isinstance(member, str) for member in members):
        texts = frozenset(members)
        return _test(lambda value: isinstance(value, str) and value in texts, _listed(members))
    # In JSON true is not 1.
    return _test(
        lambda value: any(value == m and isinstance(value, bool) == isinstance(m, bool) for m in members), _listed(members)
    )


def _listed(members: list[Any]) -> str:
    texts = [member if isinstance(member, str) else shown(member) for member in members]
    return texts[0] if len(texts) == 1 else f"one of {', '.join(texts)}"


def _pattern(pattern: str) -> _Part:
    search = re.compile(pattern).search
    return _test(lambda value: not isinstance(value, str) or search(value) is not None, f"text that matches {pattern}")


def _required(keys: list[str]) -> _Part:
    def fits(value: Any, path: str, out: list[Mismatch] | None) -> bool:
        missing = [key for key in keys if key not in value] if isinstance(value, dict) else []
        if out is not None:
            out.extend(Mismatch(_joined(path, key), "a value", "nothing") for key in missing)
        return not missing

    return fits


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
