"""Makes any object safe to record: plain JSON values, bounded in size and time, free of secrets.

    cleaned = Cleaner(Redactor()).clean({"api_key": "sk-…", "when": datetime.now(), "self": thing})
    cleaned.value      # {"api_key": "[redacted:api-key]", "when": "2026-11-21T05:22:01", "self": "<app.Thing>"}
    cleaned.redacted   # 1

The result holds only exact ``str``, ``int`` (64 bits), finite ``float``, ``bool``, ``None``, ``list`` and ``dict`` with ``str``
keys, and `orjson` takes it. Foreign code is not run (see ``objects.py``). What is left out is replaced by a mark with its size.

A value that JSON has no form for becomes an object with one key: ``{"$bytes": "<base64>"}``, ``{"$float": "NaN"}``. A user's
own object of that form gets one more dollar sign: ``{"$bytes": 1}`` is kept as ``{"$$bytes": 1}``; readers take one away.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import count, islice
from math import isfinite
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.record.exceptions.class_info import bases, big_int, placeholder
from otel_agentlog.record.redaction.engine import LONG_BYTES
from otel_agentlog.record.redaction.key_rules import KeyRule
from otel_agentlog.record.redaction.redactor import FAILED, Redactor
from otel_agentlog.record.sanitize.arrays import Columns, Head, NoArray, simpler_array
from otel_agentlog.record.sanitize.keys import escaped, free_name, is_schema, name_of, named_value
from otel_agentlog.record.sanitize.line import Cleaned, keep_own
from otel_agentlog.record.sanitize.marks import HIDDEN, HOLDERS, Hidden, rule_of_class
from otel_agentlog.record.sanitize.objects import SIMPLER, fields, library_text, namedtuple_fields, special_float
from otel_agentlog.record.sanitize.secrets import Secrets


@dataclass(frozen=True)
class ValueLimits:
    """How much of one value is kept."""

    max_depth: int = 16
    """Containers within containers."""
    max_items: int = 1000
    """Items of one container."""
    max_nodes: int = 20_000
    """Items of all containers of one value."""
    max_string_bytes: int | None = 32 << 20
    """UTF-8 bytes of one text, or bytes of one binary value; ``None`` for no bound."""
    max_total_bytes: int = 64 << 20
    """Bytes of all long texts of one value."""


SEPARATE_CHARS = 16_384
"""Longer texts are redacted one by one, shorter ones of a value all together."""
MAX_KEY_CHARS = 1024
_MARGIN_CHARS = 16_384
"""A text over the limit is cut this far behind it before redaction and exactly after, so no secret is cut in half."""
_INT64 = 1 << 63
_LEAST_INT, _MOST_INT = -_INT64, _INT64 - 1
_TRIES = 3
MOST_PLAIN_CHARS = 1 << 20
"""Of more characters the long texts are searched one by one."""
_MAX_KNOWN_KEYS = 4096
_MAX_KNOWN_TEXTS, _MAX_KNOWN_CHARS = 2048, 128
_REMEMBERED_SEARCH = 4
"""Of so many searches the texts of one are remembered."""
_SURE = frozenset({type(None), bool})
_TEXT, _DICT, _FLOAT = {str}, {dict}, {float}
_NAMED_VALUE = frozenset({"value", "Value"})
"""What is under them may be a secret by what another entry says."""
_NEW: Any = object()


@dataclass(slots=True)
class CleanedValue:
    """A value made safe, and what that took."""

    value: Any
    redacted: int
    """Secrets replaced."""
    truncated: int
    """Places where something was left out."""
    failed: int
    """Objects that could not be read and texts that could not be redacted; a mark is recorded for each."""


class Cleaner:
    """The one pass between what a user hands in and everything that is kept or sent. Any thread may use it."""

    def __init__(self, redactor: Redactor | None, limits: ValueLimits = ValueLimits()) -> None:
        """``redactor=None`` bounds and repairs without looking for secrets."""
        self._redactor = redactor
        self._limits = limits
        self._max_depth, self._max_items = limits.max_depth, limits.max_items
        self._known_keys: dict[str, KeyRule | None] = {}
        self._plain_names: set[str] = set()
        """Names that no rule is for, and that hold no secret themselves."""
        self._plain_texts: set[str] = set()
        """Short texts that hold none, of those found lately."""
        self._searches = count()
        self._most_plain = min(
            MOST_PLAIN_CHARS, limits.max_total_bytes // 4, (limits.max_string_bytes or MOST_PLAIN_CHARS * 4) // 4
        )

    def clean(self, value: object, key: str | None = None) -> CleanedValue:
        """Make any object safe. ``key`` is the name it will be recorded under, for the key rules. Never raises."""
        secrets = Secrets(self._redactor)
        walk = Walk(secrets, self._limits, self._known_keys)
        try:
            result = walk.value(value) if key is None else walk.under(key, value)
            try:
                if self._redactor is None:
                    "\0".join(walk.texts).encode()  # raises where there is a lone surrogate
                    changes = {}
                elif self._redactor.asks_for_edges:
                    changes = secrets.each(walk.texts)
                else:
                    changes = self._redactor.changes(walk.texts)
            except Exception:  # noqa: BLE001 - a lone surrogate, or one text that the redactor fails at
                raise_interrupt()
                changes = secrets.each(walk.texts)
            if changes:
                result = secrets.replaced(result, changes)
            elif walk.new_keys:
                self._remember(walk.new_keys)
        except Exception:  # noqa: BLE001 - out of memory or stack, or a bug of ours: the record stays, the value goes
            raise_interrupt()
            return CleanedValue(f"[unreadable: {placeholder(value)}]", 0, 0, 1)
        return CleanedValue(result, secrets.redacted, walk.truncated, walk.failed + secrets.failed)

    def plain(self, line: dict[str, Any]) -> dict[str, Any] | None:
        """A copy of a line that is clean as it is, which nearly all are; ``None`` where `clean` has to look at it. Never raises.

        Values are of the exact types that JSON has, within the limits, under names that no rule is for, and one search finds no
        candidate for a secret in all texts together. For those `clean` would give an equal copy.
        """
        texts = _Texts()
        texts.nodes_left = self._limits.max_nodes
        try:
            copy = self._plain_dict(line, 0, texts)
            if not self._plain_texts.issuperset(texts) and not self._finds_none(texts):
                return None
        except NotPlain:
            return None
        except Exception:  # noqa: BLE001 - a lone surrogate, no stack left, a search that fails: the careful way deals with them
            raise_interrupt()
            return None
        if texts.new_names:
            if len(self._plain_names) > _MAX_KNOWN_KEYS:
                self._plain_names.clear()
            self._plain_names.update(texts.new_names)
        return copy

    def _finds_none(self, texts: Sequence[str]) -> bool:
        """Whether there is no candidate for a secret in these texts together; those that come again are not searched again."""
        joined, redactor = "\0".join(texts), self._redactor
        if len(joined) > self._most_plain:
            return False
        if redactor is not None and len(joined) > LONG_BYTES:
            if not redactor.finds_none_in(texts):
                return False
        else:
            data = joined.encode()  # also where nothing is searched for: it raises where there is a lone surrogate
            if redactor is not None and not redactor.finds_none(data):
                return False
        if redactor is not None and redactor.asks_for_edges and not all(redactor.finds_none(text.encode()) for text in texts):
            return False
        # Not each time: to remember texts that do not come again costs more than it gives.
        if self._searches.__next__() % _REMEMBERED_SEARCH == 0:
            if len(self._plain_texts) > _MAX_KNOWN_TEXTS:
                self._plain_texts = set()
            self._plain_texts.update(text for text in texts if len(text) <= _MAX_KNOWN_CHARS)
        return True

    # The copy is made first and then judged: other threads may be changing what was given.

    def _plain_dict(  # noqa: C901 - in one piece, as every value passes here
        self, value: dict[str, Any], depth: int, texts: _Texts
    ) -> dict[str, Any]:
        copy = dict.copy(value)
        texts.nodes_left -= len(copy)
        if depth >= self._max_depth or len(copy) > self._max_items or texts.nodes_left < 0:
            raise NotPlain
        if not self._plain_names.issuperset(copy):
            self._judge(copy, texts)
        for name, item in copy.items():
            kind = type(item)
            if kind is str:
                texts.append(item)
            elif kind is int:
                if not _LEAST_INT <= item <= _MOST_INT:
                    raise NotPlain
            elif kind is float:
                if item - item != 0.0:  # NaN and infinity, without a call
                    raise NotPlain
            elif kind is dict:
                # An empty one, as start and end lines have without attributes, is not worth a call.
                copy[name] = self._plain_dict(item, depth + 1, texts) if item or depth else {}
            elif kind is list or kind is tuple:
                copy[name] = self._plain_list(item, depth + 1, texts)
            elif kind not in _SURE:
                raise NotPlain
        return copy

    def _plain_list(self, value: list[Any] | tuple[Any, ...], depth: int, texts: _Texts) -> list[Any]:
        copy = list(value)
        texts.nodes_left -= len(copy)
        if depth >= self._max_depth or len(copy) > self._max_items or texts.nodes_left < 0:
            raise NotPlain
        if len(copy) == 2 and type(copy[0]) is str:
            self._judge(copy[:1], texts)  # a header may come as a pair
        kinds = set(map(type, copy))
        if kinds == _TEXT:
            texts += copy
        elif kinds == _DICT:
            for at, item in enumerate(copy):
                copy[at] = self._plain_dict(item, depth + 1, texts)
        elif kinds != _FLOAT or not isfinite(sum(copy)):
            for at, item in enumerate(copy):
                copy[at] = self._plain_item(item, depth, texts)
        return copy

    def _plain_item(self, item: Any, depth: int, texts: _Texts) -> Any:
        kind = type(item)
        if kind is str:
            texts.append(item)
        elif kind is dict:
            return self._plain_dict(item, depth + 1, texts)
        elif kind is list or kind is tuple:
            return self._plain_list(item, depth + 1, texts)
        elif not (kind in _SURE or (kind is int and _LEAST_INT <= item <= _MOST_INT) or (kind is float and isfinite(item))):
            raise NotPlain
        return item

    def _judge(self, names: Iterable[Any], texts: _Texts) -> None:
        """Raise `NotPlain` for a name that a rule may be for; others are searched with the texts."""
        for name in names:
            if name in self._plain_names:
                continue
            if type(name) is not str or len(name) > MAX_KEY_CHARS or name[:1] == "$" or name in _NAMED_VALUE:
                raise NotPlain
            if self._redactor is not None and self._redactor.key_rule(name) is not None:
                raise NotPlain
            texts.append(name)
            texts.new_names = [*texts.new_names, name]

    def clean_line(self, line: dict[str, Any]) -> Cleaned:
        """Make every value of a line safe, but for what is ours in it (``line.py``)."""
        cleaned = self.clean(line)
        return keep_own(line, cleaned, self.clean) if cleaned.redacted or cleaned.failed else cleaned

    def text(self, text: str) -> tuple[str, int, int]:
        """A name, message or traceback, safe and bounded: the text, secrets replaced, places left out."""
        try:
            # As in `plain`.
            if type(text) is str and (text in self._plain_texts or self._finds_none((text,))):
                return text, 0, 0
        except Exception:  # noqa: BLE001 - a lone surrogate, no stack left, a search that fails: the careful way deals with them
            raise_interrupt()
        cleaned = self.clean(text)
        return str(cleaned.value), cleaned.redacted, cleaned.truncated

    def _remember(self, keys: dict[str, KeyRule | None]) -> None:
        """Names without secrets in them need not be checked again."""
        if len(self._known_keys) > _MAX_KNOWN_KEYS:
            self._known_keys.clear()
        self._known_keys.update(keys)


@lru_cache(maxsize=1)
def default_cleaner() -> Cleaner:
    """For what is kept or shown where nothing was configured: the rules that always hold."""
    return Cleaner(Redactor())


class NotPlain(Exception):
    """A value is not clean as it is, or may not be."""


class _Texts(list[str]):
    """The texts of a value, to be searched for secrets."""

    nodes_left: int
    """How many more items of containers it may have."""
    new_names: Sequence[str] = ()
    """Names that were not judged before."""


class Walk:
    """One walk over one value, within limits and while other threads may change it; counts what it could not keep.

    A value under the name of a secret is masked on the way and long texts are redacted one by one; short texts are collected
    in ``texts``, for one search over all of them afterwards.
    """

    def __init__(self, secrets: Secrets, limits: ValueLimits, known_keys: dict[str, KeyRule | None]) -> None:
        self.texts: list[str] = []
        """Texts of the result, names among them, that were not searched for secrets yet."""
        self.new_keys: dict[str, KeyRule | None] = {}
        """Names that are not in ``known_keys``, with the rule that each falls under."""
        self.truncated = self.failed = 0
        self._secrets, self._limits, self._known = secrets, limits, known_keys
        self._nodes_left, self._bytes_left = limits.max_nodes, limits.max_total_bytes
        self._short = min(SEPARATE_CHARS, (limits.max_string_bytes or SEPARATE_CHARS * 4) // 4)
        self._path: list[int] = []
        """Identities of the containers around, outermost first; one for each level of depth."""

    def under(self, key: str, value: Any) -> Any:
        """A value, cleaned by the rules for its name."""
        rule = self._key(key)[1]
        return self.value(value) if rule is None else self._under_rule(rule, value, -1)

    def value(self, value: Any, depth: int = 0) -> Any:
        """Any object as plain JSON values; ``depth`` is how many containers it is in."""
        kind = type(value)
        if kind is str:
            return self.string(value)
        if value is None or kind is bool:
            return value
        if kind is int:
            return value if -_INT64 <= value < _INT64 else self.string(big_int(value))
        if kind is float:
            return value if value - value == 0.0 else special_float(value)
        try:
            read = _READERS.get(kind) or _reader_for(value)
            if read not in _LEAVES:
                del self._path[depth:]
                if depth >= self._limits.max_depth or id(value) in self._path:
                    return self._refused(value)
                self._path.append(id(value))
            return read(self, value, depth) if kind in _READERS or read is Walk._object else self._derived(read, value, depth)
        except Exception:  # noqa: BLE001 - an object may be broken in any way; a mark is recorded for it
            raise_interrupt()
            self.failed += 1
            return self._note(placeholder(value))

    def _refused(self, value: Any) -> str:
        """The mark for a container that contains itself or is too deep."""
        self.truncated += 1
        why = "contains itself" if id(value) in self._path else f"is below depth {self._limits.max_depth}"
        return self._note(f"[truncated: {placeholder(value)} {why}]")

    # -- objects of names and values ------------------------------------------------------------------------------------

    def _dict(self, value: dict[Any, Any], depth: int) -> dict[str, Any]:
        try:
            items = list(islice(dict.items(value), self._limits.max_items))
        except RuntimeError:  # another thread changed it meanwhile
            raise_interrupt()
            items = _first(lambda: dict.items(value), self._limits.max_items)
        return self._mapping(items, dict.__len__(value), depth)

    def _mapping(self, items: Iterable[tuple[Any, Any]], length: int, depth: int) -> dict[str, Any]:
        """``items`` holds at least as many of the ``length`` as may be read."""
        out: dict[str, Any] = {}
        known, texts, short = self._known, self.texts, self._short
        count = min(length, self._limits.max_items, self._nodes_left)
        self._nodes_left -= count
        for key, item in items if count == length else islice(items, count):
            if type(key) is not str or (rule := known.get(key, _NEW)) is _NEW:
                key, rule = self._key(key)
            if key in out:
                key = free_name(key, out)
            kind = type(item)
            if rule is not None:
                item = self._under_rule(rule, item, depth)
            elif kind is str and len(item) <= short:
                texts.append(item)
            elif item is None or kind is bool or (kind is int and -_INT64 <= item < _INT64) or (kind is float and isfinite(item)):
                pass
            else:
                item = self.value(item, depth + 1)
            out[key] = item
        if count < length:
            self.truncated += 1
            out[free_name("$truncated", out)] = f"{length - count} of {length} items left out"
        if "value" in out or "Value" in out:
            self._mask_named_value(out)
        return escaped(out) if len(out) == 1 and next(iter(out))[:1] == "$" else out

    def _mask_named_value(self, out: dict[str, Any]) -> None:
        named = named_value(out)
        rule = self._secrets.key_rule(named[0]) if named else None
        if named and rule:
            out[named[1]] = self._secrets.masked(rule, out[named[1]])

    def _key(self, key: Any) -> tuple[str, KeyRule | None]:
        """A name as text, bounded, and the rule it falls under."""
        if type(key) is not str:
            key = self._key_text(key)
        if len(key) > MAX_KEY_CHARS:
            self.truncated += 1
            key = f"{key[:MAX_KEY_CHARS]}…[truncated: {len(key) - MAX_KEY_CHARS} characters left out]"
        rule = self._known.get(key, _NEW)
        if rule is _NEW:
            rule = self.new_keys[key] = self._secrets.key_rule(key)
            self.texts.append(key)
        return key, rule

    def _key_text(self, key: Any) -> str:
        try:
            for part in tuple.__iter__(key) if type(key) is tuple else (key,):
                if type(part) not in _NAMES and (rule := rule_of_class(part)) is not None and self._secrets.hides(rule):
                    return self._secrets.mask(rule)
            return name_of(key)
        except Exception:  # noqa: BLE001 - a key may be broken in any way
            raise_interrupt()
            self.failed += 1
            return placeholder(key)

    def _under_rule(self, rule: KeyRule, value: Any, depth: int) -> Any:
        """A value under a name that is, or may be, a secret's."""
        if type(value) is str:
            masked = self._secrets.masked(rule, value)
            return self.string(value) if masked is value else masked
        if type(value) is dict and is_schema(value):
            return self.value(value, depth + 1)
        return self._secrets.masked(rule, self.value(value, depth + 1))

    # -- sequences ------------------------------------------------------------------------------------------------------

    def _list(self, value: list[Any], depth: int) -> list[Any]:
        out = self._sequence(list.__getitem__(value, slice(self._limits.max_items)), list.__len__(value), depth)
        # Headers may be lists as well: of bytes they are sure to be some, of texts where the second has the form of a secret.
        if len(out) == 2 and type(first := list.__getitem__(value, 0)) in (str, bytes) and (rule := self._rule_of_name(first)):
            out[1] = self._secrets.masked(rule if type(first) is bytes else replace(rule, certain=False), out[1])
        return out

    def _tuple(self, value: tuple[Any, ...], depth: int) -> Any:
        named = None if type(value) is tuple else namedtuple_fields(value)
        if named is not None:
            return self._record(value, named, depth)
        out = self._sequence(tuple.__iter__(value), tuple.__len__(value), depth)
        if len(out) == 2 and (rule := self._rule_of_pair(value)):
            out[1] = self._secrets.masked(rule, out[1])
        return out

    def _rule_of_pair(self, pair: tuple[Any, ...]) -> KeyRule | None:
        """The rule for the second of two: headers come as ``("authorization", "…")`` or the same in bytes."""
        return self._rule_of_name(tuple.__getitem__(pair, 0))

    def _rule_of_name(self, name: object) -> KeyRule | None:
        name = name.decode("latin-1") if type(name) is bytes else name
        return self._secrets.key_rule(name) if type(name) is str else None

    def _set(self, value: Any, depth: int) -> list[Any]:
        base = frozenset if issubclass(type(value), frozenset) else set
        items = _first(lambda: base.__iter__(value), self._limits.max_items)
        if all(type(item) is str for item in items):
            items.sort()
        return self._sequence(items, base.__len__(value), depth)

    def _deque(self, value: deque[Any], depth: int) -> list[Any]:
        return self._sequence(_first(lambda: deque.__iter__(value), self._limits.max_items), deque.__len__(value), depth)

    def _view(self, value: Any, depth: int) -> list[Any]:
        """A range or a view of a dict."""
        return self._sequence(_first(lambda: iter(value), self._limits.max_items), len(value), depth)

    def _sequence(self, items: Iterable[Any], length: int, depth: int) -> list[Any]:
        """``items`` holds at least as many of the ``length`` as may be read."""
        count = min(length, self._limits.max_items, self._nodes_left)
        self._nodes_left -= count
        out = list(islice(items, count))
        if not self._is_plain(out):
            out = [self.value(item, depth + 1) for item in out]
        if count < length:
            self.truncated += 1
            out.append(f"[truncated: {length - count} of {length} items left out]")
        return out

    def _is_plain(self, items: list[Any]) -> bool:
        """Whether items can stay as they are: numbers of one type, or short texts. Spares embeddings a call for each number."""
        kinds = set(map(type, items))
        if kinds == {int}:
            return bool(min(items) >= -_INT64 and max(items) < _INT64)
        if kinds == {float}:
            return isfinite(sum(items))
        if kinds == {str} and max(map(len, items)) <= self._short:
            self.texts += items
            return True
        return False

    # -- texts and bytes ------------------------------------------------------------------------------------------------

    def string(self, text: str) -> str:
        """An exact string, bounded."""
        if len(text) > self._short:
            return self._long(text)
        self.texts.append(text)
        return text

    def _long(self, text: str) -> str:
        limit = (
            self._bytes_left if self._limits.max_string_bytes is None else min(self._limits.max_string_bytes, self._bytes_left)
        )
        head = text[: limit + _MARGIN_CHARS]
        result, size = self._secrets.text(head)
        self._bytes_left -= min(size, limit)
        if len(head) == len(text) and size <= limit:
            return result
        self.truncated += 1
        kept = result.encode()[:limit].decode("utf-8", "ignore")
        return f"{kept}…[truncated: {max(len(text) - len(kept), 1)} of {len(text)} characters left out]"

    def _note(self, text: str) -> str:
        """A text of ours, short but for the names of classes in it."""
        self.texts.append(text)
        return text

    def _bytes(self, value: Any, depth: int) -> Any:
        view = memoryview(value)
        limit = (
            self._bytes_left if self._limits.max_string_bytes is None else min(self._limits.max_string_bytes, self._bytes_left)
        )
        size = view.nbytes
        raw = bytes(view.cast("B")[: limit + _MARGIN_CHARS]) if view.c_contiguous else view.tobytes()
        return self._tagged_bytes(raw, size, limit)

    def _tagged_bytes(self, raw: bytes, size: int, limit: int) -> Any:
        safe = self._secrets.data(raw)
        if safe is None:
            return FAILED
        self._bytes_left -= min(len(safe), limit)
        tagged = {"$bytes": base64.b64encode(safe[:limit]).decode()}
        if size > limit:
            self.truncated += 1
            tagged["$truncated"] = f"{size - limit} of {size} bytes left out"
        return tagged

    # -- objects of any other class -------------------------------------------------------------------------------------

    def _simplified(self, value: Any, depth: int) -> Any:
        """An object of which `SIMPLER` makes a text, a number or a container."""
        simpler = next(SIMPLER[base] for base in bases(value) if base in SIMPLER)
        self._path[depth:] = [0]  # counts as a level, so that objects that hold each other come to an end
        return self.value(simpler(value), depth + 1)

    def _object(self, value: Any, depth: int) -> Any:
        """A record by its fields, an array or a table by its values; a placeholder for anything else."""
        named = fields(value)
        if named is not None:
            return self._record(value, named, depth)
        if (text := library_text(value)) is not None:
            return self.string(text)
        try:
            simpler = simpler_array(value, self._limits.max_items, max(1, self._nodes_left))
        except NoArray:
            return self._note(placeholder(value))
        return self.value(simpler, depth)

    def _record(self, value: Any, named: list[tuple[Any, Any]], depth: int) -> Any:
        if (rule := rule_of_class(value)) is None:
            return self._mapping(named, len(named), depth)
        hides = self._secrets.hides(rule)
        if rule.name == HIDDEN and hides:
            named = [(name, item if type(item) in _NUMBERS else Hidden(item)) for name, item in named]
        out = self._mapping(named, len(named), depth)
        # The names of its fields say what they are; those that say nothing hold what the class is named after.
        holders = [name for name in out if hides and (len(out) == 1 or name.strip("_") in HOLDERS)]
        return {**out, **{name: self._secrets.masked(rule, out[name]) for name in holders}}

    def _derived(self, read: Callable[[Walk, Any, int], Any], value: Any, depth: int) -> Any:
        """An object of a class derived from a builtin one; masked if the class is a secret's."""
        result = read(self, value, depth)
        rule = None if read is Walk._tuple and namedtuple_fields(value) else rule_of_class(value)
        return result if rule is None or not self._secrets.hides(rule) else self._secrets.masked(rule, result)

    def _hidden(self, value: Hidden, depth: int) -> Any:
        """A value that its owner keeps out of output."""
        rule, inner = KeyRule(HIDDEN), value.value
        if not self._secrets.hides(rule):
            return self.value(inner, depth)
        if type(inner) not in _READERS and _reader_for(inner) is Walk._object and fields(inner) is None:
            return self._note(placeholder(inner))  # says nothing of it, as for every such object
        return self._secrets.mask(rule)

    def _head(self, value: Head, depth: int) -> Any:
        return self._sequence(value.items, value.length, depth)

    def _columns(self, value: Columns, depth: int) -> Any:
        return self._mapping(value.items, len(value.items) + value.left_out, depth)


def _first(iterate: Callable[[], Iterable[Any]], most: int) -> list[Any]:
    """The first items of a container that another thread may be changing. Raises `RuntimeError` if it never holds still."""
    for _ in range(_TRIES):
        try:
            return list(islice(iterate(), most))
        except RuntimeError:
            raise_interrupt()
            continue
    raise RuntimeError("the container changed each time it was read")


_READERS: dict[type, Callable[[Walk, Any, int], Any]] = {
    dict: Walk._dict,
    list: Walk._list,
    tuple: Walk._tuple,
    set: Walk._set,
    frozenset: Walk._set,
    deque: Walk._deque,
    bytes: Walk._bytes,
    bytearray: Walk._bytes,
    memoryview: Walk._bytes,
    range: Walk._view,
    type({}.keys()): Walk._view,
    type({}.values()): Walk._view,
    type({}.items()): Walk._view,
    Hidden: Walk._hidden,
    Head: Walk._head,
    Columns: Walk._columns,
}
"""How builtin containers, and classes derived from them, are read: by the builtin's own means."""
_LEAVES = frozenset({Walk._bytes, Walk._simplified, Walk._hidden})
"""Readers of what is no container."""
_NUMBERS = frozenset({int, float, bool, type(None)})
_NAMES = frozenset({str, bytes, *_NUMBERS})


def _reader_for(value: object) -> Callable[[Walk, Any, int], Any]:
    for base in bases(value):
        if read := _READERS.get(base):
            return read
        if base in SIMPLER:
            return Walk._simplified
    return Walk._object
