"""Hides how a value is held against a JSON Schema, for the part of the language that our own schemas use.

``type const enum pattern minLength minimum maximum required properties items allOf if/then/else $ref`` (local) and truth values.
A keyword outside this list is refused when the schema is loaded, so a schema can never be read more loosely than it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
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


Check: TypeAlias = Callable[[Any, str], Iterator[Mismatch]]
_Schema: TypeAlias = Mapping[str, Any]


@cache
def schema(name: str) -> dict[str, Any]:
    """Return one of `SCHEMA_NAMES`, a JSON Schema of draft 2020-12. Treat it as read-only."""
    found: dict[str, Any] = orjson.loads(files("otel_agentlog.store").joinpath(f"schemas/{name}.schema.json").read_bytes())
    return found


@cache
def checker(name: str) -> Check:
    """Return the check of one of `SCHEMA_NAMES`: a value and a path prefix in, mismatches out."""
    return compiled(schema(name))


def compiled(root: _Schema) -> Check:
    """Return the check of a schema.

    Raises:
        ValueError: it uses a keyword that is not understood here.
    """
    return _Compiler(root).check(root)


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
    "integer": lambda value: not isinstance(value, bool) and (isinstance(value, int) or _is_whole(value)),
}


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def _type_name(value: Any) -> str:
    return next(name for name, test in _TYPES.items() if test(value))


class _Compiler:
    def __init__(self, root: _Schema) -> None:
        self._root = root
        self._known: dict[str, Check] = {}
        self._makers: Mapping[str, Callable[[Any], Check]] = {
            "$ref": self._ref,
            "type": self._type,
            "const": self._const,
            "enum": self._enum,
            "pattern": self._pattern,
            "minLength": self._min_length,
            "minimum": self._minimum,
            "maximum": self._maximum,
            "required": self._required,
            "properties": self._properties,
            "items": self._items,
            "allOf": lambda parts: _all([self.check(part) for part in parts]),
            "if": self.check,
        }

    def check(self, part: _Schema | bool) -> Check:
        if isinstance(part, bool):
            return _anything if part else _nothing
        checks = []
        for keyword, argument in part.items():
            if keyword in _ANNOTATIONS or keyword in ("then", "else"):
                continue
            if keyword not in self._makers:
                raise ValueError(f"JSON Schema keyword {keyword!r} is not understood")
            checks.append(self._conditional(part) if keyword == "if" else self._makers[keyword](argument))
        return checks[0] if len(checks) == 1 else _all(checks)

    def _ref(self, reference: str) -> Check:
        if reference not in self._known:
            # Recursion through a reference finds this stand-in.
            self._known[reference] = lambda value, path: self._known[reference](value, path)
            part = self._root
            for step in reference.removeprefix("#/").split("/"):
                part = part[step]
            self._known[reference] = self.check(part)
        return self._known[reference]

    def _type(self, names: str | list[str]) -> Check:
        allowed = [names] if isinstance(names, str) else names
        tests, expected = [_TYPES[name] for name in allowed], " or ".join(allowed)
        return _test(lambda value: any(test(value) for test in tests), expected)

    def _const(self, constant: Any) -> Check:
        return _test(lambda value: _same(value, constant), shown(constant))

    def _enum(self, members: list[Any]) -> Check:
        return _test(lambda value: any(_same(value, member) for member in members), f"one of {', '.join(map(str, members))}")

    def _pattern(self, pattern: str) -> Check:
        search = re.compile(pattern).search
        return _test(lambda value: not isinstance(value, str) or search(value) is not None, f"text that matches {pattern}")

    def _min_length(self, length: int) -> Check:
        return _test(lambda value: not isinstance(value, str) or len(value) >= length, f"at least {length} characters")

    def _minimum(self, limit: float) -> Check:
        return _test(lambda value: not _TYPES["number"](value) or value >= limit, f"at least {limit}")

    def _maximum(self, limit: float) -> Check:
        return _test(lambda value: not _TYPES["number"](value) or value <= limit, f"at most {limit}")

    def _required(self, keys: list[str]) -> Check:
        def check(value: Any, path: str) -> Iterator[Mismatch]:
            if isinstance(value, dict):
                for key in keys:
                    if key not in value:
                        yield Mismatch(_joined(path, key), "a value", "nothing")

        return check

    def _properties(self, parts: _Schema) -> Check:
        checks = {key: self.check(part) for key, part in parts.items()}

        def check(value: Any, path: str) -> Iterator[Mismatch]:
            if isinstance(value, dict):
                for key, each in checks.items():
                    if key in value:
                        yield from each(value[key], _joined(path, key))

        return check

    def _items(self, part: _Schema | bool) -> Check:
        item_check = self.check(part)

        def check(value: Any, path: str) -> Iterator[Mismatch]:
            if isinstance(value, list):
                for index, item in enumerate(value):
                    yield from item_check(item, f"{path}[{index}]")

        return check

    def _conditional(self, part: _Schema) -> Check:
        condition, yes, no = self.check(part["if"]), self.check(part.get("then", True)), self.check(part.get("else", True))

        def check(value: Any, path: str) -> Iterator[Mismatch]:
            return (yes if next(condition(value, path), None) is None else no)(value, path)

        return check


_ANNOTATIONS = frozenset({"$schema", "$id", "$defs", "title", "description"})


def _anything(value: Any, path: str) -> Iterator[Mismatch]:
    return iter(())


def _nothing(value: Any, path: str) -> Iterator[Mismatch]:
    return iter((Mismatch(path, "nothing", shown(value)),))


def _all(checks: list[Check]) -> Check:
    def check(value: Any, path: str) -> Iterator[Mismatch]:
        for each in checks:
            yield from each(value, path)

    return check


def _test(passes: Callable[[Any], bool], expected: str) -> Check:
    def check(value: Any, path: str) -> Iterator[Mismatch]:
        if not passes(value):
            yield Mismatch(path, expected, shown(value))

    return check


def _same(a: Any, b: Any) -> bool:
    # In JSON true is not 1.
    return bool(a == b) and isinstance(a, bool) == isinstance(b, bool)


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
