"""JSON Schema: where a value is not what a schema says, what was expected there and what was found.

    checker("event-line")(line)                # by a schema of ours: [Mismatch("level", "one of DEBUG, INFO, …", '"LOUD"')]
    compiled(schema, wording)(value)           # by any other

The keywords are those of `KEYWORDS`, as draft 2020-12 defines them, and truth values; ``$ref`` is local (``#/$defs/…``), patterns
may match anywhere. Any other keyword is refused when a schema is compiled, so a schema is never read more loosely than it says.
Why this is no library: ``docs/decisions/0024-json-schema.md``.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, TypeAlias

import orjson

SCHEMA_NAMES = ("metadata", "input", "final-result", "webhook-line", "event-line", "control-line")
"""Names of the schemas that ship with the package."""

TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}
"""By name: whether a value, as JSON is read, is of this type."""


class Mismatch(NamedTuple):
    """Where a value is not what its schema says."""

    path: str
    """Like ``details.price.source`` or ``tags[2]``; empty for the value itself."""
    expected: str
    found: str


Schema: TypeAlias = Mapping[str, Any]
Check: TypeAlias = Callable[[Any], list[Mismatch]]
"""Takes a value and returns its mismatches."""

_Part: TypeAlias = Callable[[Any, str, "list[Mismatch] | None"], bool]
"""Whether a value fits; where a list is given, mismatches are added to it, else the first one is enough."""


def type_name(value: Any) -> str:
    """The name of a value's type, ``number`` for an integer; of what is no JSON its class's name."""
    return next((name for name, test in TYPES.items() if test(value)), type(value).__name__)


def shown(value: Any, length: int = 80) -> str:
    """Return a value for an error message: short, printable, never more than a glimpse of the contents."""
    if isinstance(value, (dict, list)):
        return f"{type_name(value)} of {len(value)}"
    text = orjson.dumps(value).decode() if isinstance(value, (str, bool, type(None))) else str(value)
    text = text.encode("ascii", "backslashreplace").decode("ascii")
    return text if len(text) <= length else f"{text[: length - 1]}…"


class Wording:
    """How patterns are searched, and how mismatches are worded where readers of different things want different words."""

    def search(self, pattern: str) -> Callable[[str], object]:
        """A function that looks for the pattern anywhere in a text."""
        return re.compile(pattern).search

    def members(self, members: list[Any]) -> str:
        """What an ``enum`` or ``const`` expects."""
        texts = [member if isinstance(member, str) else shown(member) for member in members]
        return texts[0] if len(texts) == 1 else f"one of {', '.join(texts)}"

    def pattern(self, pattern: str) -> str:
        """What a ``pattern`` expects."""
        return f"text that matches {pattern}"

    def found(self, value: Any, schema: Schema) -> str:
        """What was found where the schema expected something else."""
        return shown(value)

    def unknown(self, name: str, schema: Schema) -> tuple[str, str]:
        """Expected and found where a name is not among the properties and ``additionalProperties`` is false."""
        return "no such name", name


@cache
def schema(name: str) -> dict[str, Any]:
    """Return one of `SCHEMA_NAMES`, a JSON Schema of draft 2020-12. Treat it as read-only."""
    found: dict[str, Any] = orjson.loads(files("otel_agentlog.store").joinpath(f"schemas/{name}.schema.json").read_bytes())
    return found


@cache
def checker(name: str) -> Check:
    """Return the check of one of `SCHEMA_NAMES`."""
    return compiled(schema(name))


def compiled(root: Schema, wording: Wording | None = None, at: str = "") -> Check:
    """Return the check of a schema; the paths of its mismatches begin with ``at``.

    Raises:
        ValueError: it uses a keyword that is not understood here.
    """
    fits = _Compiler(root, wording or Wording()).part(root)

    def check(value: Any) -> list[Mismatch]:
        mismatches: list[Mismatch] = []
        # Nearly every line fits, and finding that out is much cheaper than saying where one does not.
        if not fits(value, at, None):
            fits(value, at, mismatches)
        return mismatches

    return check


_Test: TypeAlias = Callable[[Any], bool]


def _limit(compare: Callable[[Any, Any], bool]) -> Callable[[Any], _Test]:
    return lambda limit: lambda value: not TYPES["number"](value) or compare(value, limit)


def _size(kind: type[str | list[Any] | dict[str, Any]], compare: Callable[[Any, Any], bool]) -> Callable[[Any], _Test]:
    return lambda limit: lambda value: not isinstance(value, kind) or compare(len(value), limit)


_LIMITS: Mapping[str, tuple[Callable[[Any], _Test], str]] = {
    "minimum": (_limit(operator.ge), "at least {}"),
    "maximum": (_limit(operator.le), "at most {}"),
    "exclusiveMinimum": (_limit(operator.gt), "more than {}"),
    "exclusiveMaximum": (_limit(operator.lt), "less than {}"),
    "minLength": (_size(str, operator.ge), "at least {} characters"),
    "maxLength": (_size(str, operator.le), "at most {} characters"),
    "minItems": (_size(list, operator.ge), "at least {} items"),
    "maxItems": (_size(list, operator.le), "at most {} items"),
    "minProperties": (_size(dict, operator.ge), "at least {} entries"),
    "maxProperties": (_size(dict, operator.le), "at most {} entries"),
}
"""Keywords that compare a number or a length with their argument, and what they expect."""
KEYWORDS = (
    *("type", "enum", "const", *_LIMITS, "pattern"),
    *("required", "properties", "additionalProperties", "items", "allOf", "if", "$ref"),
)
"""What is understood, in the order in which it is checked."""
_NOTES = frozenset(
    {"$schema", "$id", "$defs", "$comment", "title", "description", "default", "examples", "writeOnly", "then", "else"}
)


class _Compiler:
    def __init__(self, root: Schema, wording: Wording) -> None:
        self._root, self._wording = root, wording
        self._known: dict[str, _Part] = {}
        self._makers: Mapping[str, Callable[[Schema], _Part]] = {
            "type": self._type,
            "enum": lambda schema: self._enum(schema, schema["enum"]),
            "const": lambda schema: self._enum(schema, [schema["const"]]),
            "pattern": self._pattern,
            "required": _required,
            "properties": self._properties,
            "additionalProperties": self._further,
            "items": self._items,
            "allOf": lambda schema: _all([self.part(part) for part in schema["allOf"]]),
            "if": self._conditional,
            "$ref": lambda schema: self._ref(schema["$ref"]),
        }

    def part(self, schema: Schema | bool) -> _Part:
        if isinstance(schema, bool):
            return self._test({}, "nothing", lambda value: schema)
        for keyword in schema:
            if keyword not in KEYWORDS and keyword not in _NOTES:
                raise ValueError(f"JSON Schema keyword {keyword!r} is not understood")
        parts = [self._keyword(keyword, schema) for keyword in KEYWORDS if keyword in schema]
        # Of a value of another type nothing more is reported.
        return parts[0] if len(parts) == 1 else _all(parts, stop_at_first="type" in schema)

    def _keyword(self, keyword: str, schema: Schema) -> _Part:
        if keyword not in _LIMITS:
            return self._makers[keyword](schema)
        test, expected = _LIMITS[keyword]
        return self._test(schema, expected.format(schema[keyword]), test(schema[keyword]))

    def _test(self, schema: Schema, expected: str, passes: _Test) -> _Part:
        def fits(value: Any, path: str, out: list[Mismatch] | None) -> bool:
            if passes(value):
                return True
            if out is not None:
                out.append(Mismatch(path, expected, self._wording.found(value, schema)))
            return False

        return fits

    def _type(self, schema: Schema) -> _Part:
        names = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        tests = [TYPES[name] for name in names]
        either = tests[0] if len(tests) == 1 else lambda value: any(test(value) for test in tests)
        return self._test(schema, " or ".join(names), either)

    def _enum(self, schema: Schema, members: list[Any]) -> _Part:
        texts = frozenset(members) if all(isinstance(member, str) for member in members) else None
        if texts is not None:
            return self._test(schema, self._wording.members(members), lambda value: isinstance(value, str) and value in texts)
        # In JSON true is not 1.
        return self._test(
            schema,
            self._wording.members(members),
            lambda value: any(value == m and isinstance(value, bool) == isinstance(m, bool) for m in members),
        )

    def _pattern(self, schema: Schema) -> _Part:
        search = self._wording.search(schema["pattern"])
        expected = self._wording.pattern(schema["pattern"])
        return self._test(schema, expected, lambda value: not isinstance(value, str) or bool(search(value)))

    def _ref(self, reference: str) -> _Part:
        if reference not in self._known:
            # A schema that refers to itself finds this stand-in.
            self._known[reference] = lambda value, path, out: self._known[reference](value, path, out)
            part = self._root
            for step in reference.removeprefix("#/").split("/"):
                part = part[step]
            self._known[reference] = self.part(part)
        return self._known[reference]

    def _properties(self, schema: Schema) -> _Part:
        parts = {key: self.part(part) for key, part in schema["properties"].items()}

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

    def _further(self, schema: Schema) -> _Part:
        known, further = frozenset(schema.get("properties", ())), schema["additionalProperties"]

        def unknown(name: str, path: str, out: list[Mismatch] | None) -> bool:
            if out is not None:
                out.append(Mismatch(path, *self._wording.unknown(name, schema)))
            return False

        part = None if further is False else self.part(further)

        def fits(value: Any, path: str, out: list[Mismatch] | None) -> bool:
            names = [name for name in value if name not in known] if isinstance(value, dict) else []
            fitting = [
                unknown(name, path, out) if part is None else part(value[name], _joined(path, name), out) for name in names
            ]
            return all(fitting)

        return fits

    def _items(self, schema: Schema) -> _Part:
        part = self.part(schema["items"])

        def fits(value: Any, path: str, out: list[Mismatch] | None) -> bool:
            if not isinstance(value, list):
                return True
            fitting = [part(item, f"{path}[{index}]", out) for index, item in enumerate(value)]
            return all(fitting)

        return fits

    def _conditional(self, schema: Schema) -> _Part:
        condition, yes, no = self.part(schema["if"]), self.part(schema.get("then", True)), self.part(schema.get("else", True))
        return lambda value, path, out: (yes if condition(value, path, None) else no)(value, path, out)


def _all(parts: list[_Part], *, stop_at_first: bool = False) -> _Part:
    first = parts[0] if stop_at_first else None

    def fits(value: Any, path: str, out: list[Mismatch] | None) -> bool:
        fine = True
        for part in parts:
            if not part(value, path, out):
                if out is None or part is first:
                    return False
                fine = False
        return fine

    return fits


def _required(schema: Schema) -> _Part:
    keys: list[str] = schema["required"]

    def fits(value: Any, path: str, out: list[Mismatch] | None) -> bool:
        missing = [key for key in keys if key not in value] if isinstance(value, dict) else []
        if out is not None:
            out.extend(Mismatch(_joined(path, key), "a value", "nothing") for key in missing)
        return not missing

    return fits


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
