"""Finds secrets in bytes in linear time; hides RE2, how it is asked, and what a fork or the end of the process does to it.

One search with all rules joined says where the next candidate begins (about 2 ns a byte, whatever the number of rules).
Only there the rules are tried one by one. Text without a candidate, which is nearly all text, costs that one search.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import re2  # type: ignore[import-untyped]  # ships neither stubs nor a marker

from otel_agentlog.record.redaction.rules import Found, Rule

# -- The only module that touches RE2: gives it types, and options that suit redaction.

MAX_MEM_BYTES = 64 << 20
"""Bound for one program and its state cache; the joined rules use 1 to 4 MB of it on ordinary text."""


class Match(Protocol):
    """What a search found."""

    def start(self, group: int = 0) -> int: ...
    def span(self, group: int = 0) -> tuple[int, int]: ...


class Regexp(Protocol):
    """A compiled pattern. Any thread may use it; searches run without the GIL, in time linear to the text."""

    @property
    def groupindex(self) -> Mapping[bytes, int]: ...
    def search(self, text: bytes | memoryview, pos: int = 0) -> Match | None: ...
    def match(self, text: bytes | memoryview, pos: int = 0) -> Match | None: ...


class Chooser:
    """Says which of many patterns match at the beginning of a text, in one search."""

    def __init__(self, patterns: Sequence[str], *, utf8: bool) -> None:
        self._set = re2.Set.MatchSet(_options(utf8=utf8, capture=False))
        for pattern in patterns:
            self._set.Add(pattern.encode())
        self._set.Compile()

    def matching(self, text: bytes) -> list[int]:
        """Indexes in order; empty also if RE2 ran out of memory."""
        return sorted(self._set.Match(text) or ())


def compiled(pattern: str, *, utf8: bool = True, capture: bool = True, generation: int = 0) -> Regexp:
    """Compile a pattern to be searched in UTF-8 bytes; without ``utf8`` it sees single bytes, which is faster.

    Another ``generation`` gives another program for the same pattern instead of the one that ``re2`` remembers.

    Raises:
        ValueError: RE2 does not accept the pattern; the text is RE2's.
    """
    try:
        regexp: Regexp = re2.compile(pattern.encode(), _options(utf8=utf8, capture=capture, generation=generation))
    except re2.error as error:
        reason = error.args[0] if error.args else b"not accepted"
        raise ValueError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from None
    return regexp


def _options(*, utf8: bool, capture: bool, generation: int = 0) -> re2.Options:
    options = re2.Options()
    options.max_mem = MAX_MEM_BYTES + generation
    options.never_capture = not capture
    options.log_errors = False
    if not utf8:
        options.encoding = re2.Options.Encoding.LATIN1
    return options


_RULE_WINDOW_BYTES = 1024
"""Rules other than the one that the finder saw are given that many bytes to show themselves."""
MAX_CANDIDATES = 20_000
"""Places of one text that are looked into, at 10 to 30 us each; what comes after them is given up."""
_VAIN_BYTES = 1 << 16
_VAIN_RATIO = 64
"""Bytes of rejected matches that are put up with, and how many more per byte of progress; texts not made for it stay below 5."""
GIVEN_UP = "too-much"
"""Name of the hit that stands for the rest of a text that was made to be costly."""

Permits = Callable[[bytes, str], bool]
"""``(value, rule name)``: whether a value that was found may stand as it is."""


@dataclass(frozen=True, slots=True)
class Hit:
    """The bytes ``[start, end)`` are a secret of the kind ``name``."""

    start: int
    end: int
    name: str
    origin: int
    """Where what gives it away begins: the name, the header, the scheme of the URL."""
    final: bool
    """No text that may still follow can change this hit."""


class Budget:
    """What may still be spent on one text."""

    __slots__ = ("candidates",)

    def __init__(self) -> None:
        self.candidates = MAX_CANDIDATES


class Engine:
    """Rules made ready to search with. Compiles at first use (about 40 ms). Any thread may use it."""

    def __init__(self, rules: Sequence[Rule], permits: Permits, *, utf8: bool = False) -> None:
        self._rules = tuple(rules)
        self._permits = permits
        self._utf8 = utf8
        self._generation = 0
        self._searching: list[int] = []
        self._forget()
        _engines.add(self)

    def _forget(self) -> None:
        self._finder: Regexp | None = None
        self._chooser: Chooser | None = None
        self._opener: Regexp | None = None
        self._each: dict[int, tuple[Regexp, int]] = {}
        # Re-entrant: a signal handler may record while its own thread compiles.
        self._compiling = threading.RLock()

    def next_suspect(self, data: bytes, position: int) -> int | None:
        """The next place that needs a closer look; ``None`` means that there is no secret."""
        finder = self._finder or self._ready()
        me = threading.get_ident()
        self._searching.append(me)
        try:
            _check_not_exiting(me)
            m = finder.search(data, position)
        finally:
            self._searching.remove(me)
        return None if m is None else m.start()

    def next_hit(self, data: bytes, floor: int, position: int, budget: Budget) -> Hit | None:
        """The first secret at or after ``position``. What lies before ``floor`` does not exist for it.

        Once the budget is spent, or where the data is made to be searched in more than linear time, all the rest is one hit.
        """
        me = threading.get_ident()
        self._searching.append(me)
        try:
            _check_not_exiting(me)
            return self._next_hit(data, floor, position, budget)
        finally:
            self._searching.remove(me)

    def first_open(self, data: bytes, floor: int, position: int) -> int:
        """Where the earliest match begins that more text could still make or lengthen; ``len(data)`` if there is none."""
        opener = self._opener or self._ready_opener()
        me = threading.get_ident()
        self._searching.append(me)
        try:
            _check_not_exiting(me)
            m = opener.search(memoryview(data)[floor:], position - floor)
        finally:
            self._searching.remove(me)
        return len(data) if m is None else m.start() + floor

    def _next_hit(self, data: bytes, floor: int, position: int, budget: Budget) -> Hit | None:
        finder = self._finder or self._ready()
        view = memoryview(data)[floor:] if floor else data
        at, in_vain = position - floor, 0
        while m := finder.search(view, at):
            start, end = m.span()
            if budget.candidates <= 0:
                return Hit(start + floor, len(data), GIVEN_UP, start + floor, final=True)
            budget.candidates -= 1
            hit = self._resolve(data, view, floor, start, end)
            if hit is None:
                at = start + 1
            elif self._permits(data[hit.start : hit.end], hit.name):
                at = max(hit.end - floor, start + 1)
            else:
                return hit
            in_vain += end - start
            if in_vain > _VAIN_BYTES + _VAIN_RATIO * (at + floor - position):
                budget.candidates = 0
        return None

    def _resolve(self, data: bytes, view: bytes | memoryview, floor: int, start: int, end: int) -> Hit | None:
        """Which rule matches at ``start`` of the view and stands up to its check."""
        for index in self._candidates(view, start, end):
            rule = self._rules[index]
            if rule.by_start:
                begin, stop = start, end
            else:
                regexp, group = self._each.get(index) or self._rule_regexp(index)
                m = regexp.match(view, start)
                if m is None:
                    continue
                begin, stop = m.span(group)
            found = rule.check(data, floor, begin + floor, stop + floor) if rule.check else Found(begin + floor, stop + floor)
            if found and found.end > max(found.start, floor):
                return Hit(found.start, found.end, found.name or rule.name, min(found.start, start + floor), found.final)
        return None

    def _candidates(self, view: bytes | memoryview, start: int, end: int) -> Sequence[int]:
        chooser = self._chooser or self._ready_chooser()
        # Nothing chosen would mean that RE2 ran out of memory, for the finder has matched here.
        window = bytes(view[start : max(end, start + _RULE_WINDOW_BYTES)])
        return chooser.matching(window) or range(len(self._rules))

    def _ready(self) -> Regexp:
        with self._compiling:
            finder = self._finder
            if finder is None:
                sights = "|".join(f"(?:{rule.sight or rule.pattern})" for rule in self._rules)
                finder = self._finder = self._compiled(sights, capture=False)
        return finder

    def _ready_chooser(self) -> Chooser:
        with self._compiling:
            chooser = self._chooser
            if chooser is None:
                chooser = self._chooser = Chooser([rule.pattern for rule in self._rules], utf8=self._utf8)
        return chooser

    def _ready_opener(self) -> Regexp:
        openings = [f"(?:{rule.opening})" for rule in self._rules if rule.opening]
        opener = self._opener = self._compiled(rf"(?:{'|'.join(['[!-~]+', *openings])})\z", capture=False)
        return opener

    def _rule_regexp(self, index: int) -> tuple[Regexp, int]:
        regexp = self._compiled(self._rules[index].pattern, capture=True)
        self._each[index] = regexp, regexp.groupindex.get(b"secret", 0)
        return self._each[index]

    def _compiled(self, pattern: str, *, capture: bool) -> Regexp:
        return compiled(pattern, utf8=self._utf8, capture=capture, generation=self._generation)

    def _after_fork(self) -> None:
        """RE2 searches without the GIL and under its own locks; one held by a thread that the child lacks is held for ever."""
        me = threading.get_ident()
        if any(thread != me for thread in self._searching):
            _abandoned.append((self._finder, self._chooser, self._opener, self._each))
            self._generation += 1
            self._forget()
        self._compiling = threading.RLock()
        self._searching = []


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_abandoned: list[object] = []
"""Programs whose locks may be held: never used again, never destroyed either."""
_exiting: int | None = None
"""The thread that is ending the process."""
_EXIT_WAIT_S = 2.0


def _renew_after_fork() -> None:
    global _exiting
    _exiting = None
    for engine in list(_engines):
        engine._after_fork()


def _check_not_exiting(me: int) -> None:
    if _exiting is not None and _exiting != me:
        raise RuntimeError("the interpreter is shutting down")


def _wait_for_searches() -> None:
    """Before 3.14, CPython ends a daemon thread when it next takes the GIL; inside RE2's binding that aborts the process.

    So at exit no other thread may begin a search (its text is given up), and those under way are waited for.
    """
    global _exiting
    me = _exiting = threading.get_ident()
    deadline = time.monotonic() + _EXIT_WAIT_S
    while any(thread != me for engine in list(_engines) for thread in list(engine._searching)):
        if time.monotonic() > deadline:
            break
        time.sleep(0.001)


os.register_at_fork(after_in_child=_renew_after_fork)
# Registered when the package is imported, so that it runs after the handlers of those who use it.
atexit.register(_wait_for_searches)
