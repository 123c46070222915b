"""Searches UTF-8 bytes for secrets in linear time, with RE2. `Engine.next_hit` takes bytes and returns one `Hit` at a time.

Rules are searched for in three groups, each as one pattern, of which a looser form tells first whether there may be a candidate
at all (`Engine.finds_none`: 2 us and 4 ns a byte for all rules once RE2 has the states that such a text needs, 60 ns a byte for
the first ones). Text without one, which is nearly all text, costs only that. In groups that may have one the exact pattern finds
where the next begins; there a `PatternSet` of each that matches selects the rules, and their checks decide.

No other module imports RE2. It ships no types, so this one declares them (`RegexMatch`, `Regexp`) and sets the options. Searches
run without the GIL and under RE2's own locks, so engines replace their programs in a forked child where another thread was
inside one, and at the end of the process no new search begins while those under way finish.
"""

from __future__ import annotations

import atexit
import functools
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import re2  # type: ignore[import-untyped]  # ships neither stubs nor a marker

from otel_agentlog._platform.fork import after_fork_in_child
from otel_agentlog._startup import dataclass
from otel_agentlog.record.redaction.rules import SecretRange, SecretRule, first_search, grouped, joined, loosened, may_match

MAX_MEM_BYTES = 64 << 20
"""Bound for one program and its state cache."""
MAX_CANDIDATES = 20_000
"""Candidates of one text that are examined, at 10 to 30 us each; the rest of the text is then one hit named `GIVEN_UP`."""
BYTES_PER_CANDIDATE = 128
"""A long text may have one more for so many bytes: 4 MB of JSON with four names such as ``next_page_token`` a row has."""
BYTES_EXAMINED = 512
"""So many bytes that a check has read in vain are one more candidate."""
GIVEN_UP = "too-much"
"""Name of the hit for the rest of a text that was made to be costly."""

_OF_WORDS = bytes(range(0x21, 0x7F))
"""What words are made of: one at the end of a text is unfinished."""
LONG_BYTES = 1 << 16
"""A text with more is not searched twice where one search will do."""
_SAMPLES, _SAMPLE_BYTES = 16, 512
_LONGEST_WORDS = 32
"""Bytes from one end of a word to the next, on average, where a text is of words."""
_OF_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\r\n:;,"
"""What base64 is made of, in lines and in a ``data:`` URL."""
_ALL_TEXTS = [0]
"""What a search gives that finds nothing but the pattern of any text."""

_RULE_WINDOW_BYTES = 1024
"""Bytes from a candidate on that decide which rules may match there."""
_EDGE_BYTES = 4096
"""Bytes behind a secret in which another one must match that is only one because it begins there: no rule needs more."""
_WASTED_BYTES = 1 << 16
_WASTED_RATIO = 64
"""Bytes of rejected matches that are allowed, and how many more per byte of progress; ordinary texts stay below 5."""
_EXIT_WAIT_S = 2.0
_CACHED_SETS = 4
"""A process has the rules of this package and its own, on UTF-8 and on single bytes."""
_SETS_OF_RULES = 5
"""Those of their groups, one of all for long texts, and one for streams."""


class RegexMatch(Protocol):
    """Where a pattern matched."""

    def start(self, group: int = 0) -> int: ...
    def end(self, group: int = 0) -> int: ...
    def span(self, group: int = 0) -> tuple[int, int]: ...


class Regexp(Protocol):
    """A compiled pattern. Any thread may use it; searches run without the GIL, in time linear to the text."""

    @property
    def groupindex(self) -> Mapping[bytes, int]: ...
    def search(self, text: bytes | memoryview, pos: int = 0) -> RegexMatch | None: ...
    def match(self, text: bytes | memoryview, pos: int = 0) -> RegexMatch | None: ...


class PatternSet:
    """Which of many patterns match at the beginning of a text, in one search."""

    def __init__(self, patterns: Sequence[str], *, utf8: bool, generation: int = 0) -> None:
        self._set = re2.Set.MatchSet(_options(utf8=utf8, capture=False, generation=generation))
        for pattern in patterns:
            self._set.Add(pattern.encode())
        self._set.Compile()

    def matching(self, text: bytes) -> list[int]:
        """Indexes in order; empty also if RE2 ran out of memory."""
        return sorted(self._set.Match(text) or ())


def compiled(pattern: str, *, utf8: bool = True, capture: bool = True, generation: int = 0) -> Regexp:
    """Compile a pattern to be searched in UTF-8 bytes; without ``utf8`` it matches single bytes, which is faster.

    Another ``generation`` gives another program for the same pattern instead of the one that ``re2`` has cached.

    Raises:
        ValueError: RE2 does not accept the pattern; the text is RE2's.
    """
    try:
        regexp: Regexp = re2.compile(pattern.encode(), _options(utf8=utf8, capture=capture, generation=generation))
    except re2.error as error:
        reason = error.args[0] if error.args else b"not accepted"
        raise ValueError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from None
    return regexp


# What `re2` caches for single patterns, for sets: a process that is configured again has the same rules nearly always, and
# compiling them takes 15 to 60 ms.


@functools.lru_cache(maxsize=_SETS_OF_RULES * _CACHED_SETS)
def _search_set(patterns: tuple[str, ...], utf8: bool, generation: int) -> Callable[[bytes], list[int] | None]:
    """A search that gives the numbers of those that match anywhere, counted from 1, in any order.

    There is a 0 with them always: nothing at all is found if RE2 ran out of memory.
    """
    found = re2.Set.SearchSet(_options(utf8=utf8, capture=False, generation=generation))
    for pattern in (r"\z", *patterns):
        found.Add(pattern.encode())
    found.Compile()
    search: Callable[[bytes], list[int] | None] = found.Match
    return search


@functools.lru_cache(maxsize=_SETS_OF_RULES * _CACHED_SETS)
def _pattern_set(patterns: tuple[str, ...], utf8: bool, generation: int) -> PatternSet:
    return PatternSet(patterns, utf8=utf8, generation=generation)


def _options(*, utf8: bool, capture: bool, generation: int = 0) -> re2.Options:
    options = re2.Options()
    options.max_mem = MAX_MEM_BYTES + generation
    options.never_capture = not capture
    options.log_errors = False
    if not utf8:
        options.encoding = re2.Options.Encoding.LATIN1
    return options


IsAllowed = Callable[[bytes, str], bool]
"""``(value, rule name)``: whether a value that matched a rule is left as it is."""


@dataclass(frozen=True, slots=True)
class Hit:
    """The bytes ``[start, end)`` are a secret of the kind ``name``."""

    start: int
    end: int
    name: str
    origin: int
    """Where the match begins: at the name, the header, the scheme of the URL."""
    final: bool
    """No text that may still follow can change this hit."""


class Budget:
    """Candidates that may still be examined in one text of ``size`` bytes, and those that were found ahead."""

    __slots__ = ("ahead", "candidates")

    def __init__(self, size: int) -> None:
        self.candidates = MAX_CANDIDATES + size // BYTES_PER_CANDIDATE
        self.ahead: dict[Engine, _Ahead] = {}


class _Ahead:
    """The next candidate that the pattern of each group finds in one text, from left to right."""

    def __init__(self, finder: Callable[[int], Regexp], may_match: Sequence[bool], floor: int = 0) -> None:
        """``may_match``: of each group, whether its pattern may match in the text from ``floor`` on."""
        self._finder = finder
        self._next: list[tuple[int, int] | None] = [(-1, -1) if may else None for may in may_match]
        """Where each begins and ends in the whole text; ``None``: there is no more."""
        self._floor = floor

    def search(self, view: bytes | memoryview, floor: int, at: int) -> tuple[int, int] | None:
        """What a pattern of all rules would find in the view, which begins at ``floor``, from ``at`` in it on."""
        if floor != self._floor:
            self._floor = floor
            self._look_at_edge(view, floor)
        found: tuple[int, int] | None = None
        for index, known in enumerate(self._next):
            if known is not None and known[0] < floor + at:
                m = self._finder(index).search(view, at)
                known = self._next[index] = None if m is None else (m.start() + floor, m.end() + floor)
            if known is not None and (found is None or (known[0], -known[1]) < (found[0], -found[1])):
                found = known
        return None if found is None else (found[0] - floor, found[1] - floor)

    def at(self, position: int) -> list[int]:
        """The groups whose pattern matches at the place that was found last."""
        return [index for index, known in enumerate(self._next) if known is not None and known[0] == position]

    def _look_at_edge(self, view: bytes | memoryview, floor: int) -> None:
        """Only at its beginning another view of the same text can match elsewhere: a pattern looks back by one byte at most."""
        beginning = view[:_EDGE_BYTES]
        for index, known in enumerate(self._next):
            m = self._finder(index).match(beginning)
            if m is not None and m.end() == len(beginning):
                m = self._finder(index).match(view)
            if m is not None:
                self._next[index] = floor, m.end() + floor
            elif known is not None and known[0] <= floor:
                self._next[index] = -1, -1


class _Unfinished(NamedTuple):
    """What finds matches at the end of a text that more text could complete.

    A pattern of all rules would be searched from the end of the text on, where each of them may begin: 0.7 ms for a new text of
    150 bytes. That one of them matches anywhere takes 2 us to find out, and then those are searched alone, in 4 us each.
    """

    anywhere: Callable[[bytes], list[int] | None]
    """The rules whose pattern matches anywhere, counted from 1."""
    at_end: tuple[Regexp, ...]
    """Each rule's pattern up to the end of the text."""

    def first(self, view: bytes, at: int) -> int:
        """Where the earliest begins, at or after ``at``, words too; the length of the text if there is none."""
        first = max(at, len(view.rstrip(_OF_WORDS)))
        # A pattern looks back by one byte at most.
        for number in self.anywhere(view[max(0, at - 1) :]) or range(len(self.at_end) + 1):
            m = self.at_end[number - 1].search(view, at) if number else None
            if m is not None:
                first = min(first, m.start())
        return first


class Engine:
    """A set of rules, compiled at first use (about 10 ms). Safe from any thread."""

    def __init__(
        self, rules: Sequence[SecretRule], is_allowed: IsAllowed, *, utf8: bool = False, for_base64: bool = False
    ) -> None:
        self._rules = tuple(rules)
        self._groups = [list(rules)] if for_base64 and rules else grouped(rules)
        self._for_base64 = for_base64
        places = {id(rule): index for index, rule in enumerate(self._rules)}
        self._places = [[places[id(rule)] for rule in group] for group in self._groups]
        """Of each group's rules, which of all rules they are: at one place they are tried in that order."""
        self._is_allowed = is_allowed
        self._utf8 = utf8
        self._forget()
        _engines.add(self)

    def _forget(self) -> None:
        self._firsts: tuple[Callable[[bytes], list[int] | None], ...] = ()
        self._finders: list[Regexp | None] = [None] * len(self._groups)
        self._sets: list[PatternSet | None] = [None] * len(self._groups)
        self._unfinished: _Unfinished | None = None
        self._each: dict[int, tuple[Regexp, int]] = {}
        self._of_base64: Engine | None = None
        # Re-entrant: a signal handler may record while its own thread compiles.
        self._compiling = threading.RLock()

    def for_text(self, data: bytes) -> Engine:
        """What to search a whole text with: a long one of base64, such as a picture, by the rules that may match in it alone.

        Those are one in four, whose pattern makes few states there. 20 MB take 80 ms, with all rules 160 to 240.
        """
        if len(data) <= LONG_BYTES or self._utf8 or not _is_base64(data):
            return self
        if self._of_base64 is None:
            letters = frozenset(_OF_BASE64.decode())
            rules = [rule for rule in self._rules if may_match(rule.pattern, letters)]
            self._of_base64 = Engine(rules, self._is_allowed, for_base64=True)
        return self._of_base64

    def finds_none(self, data: bytes) -> bool:
        """Whether there is certainly no secret; a candidate need not be one."""
        firsts = self._firsts or self._ready_firsts()
        me = threading.get_ident()
        _searching.append(me)
        try:
            if _exiting is not None and _exiting != me:
                _check_not_exiting(me)
            for index, first in enumerate(firsts):
                # Nothing at all is found where RE2 ran out of memory.
                if first(data) != _ALL_TEXTS and self._finder(index).search(data) is not None:
                    return False
            return True
        finally:
            _searching.remove(me)

    def next_candidate(self, data: bytes, position: int, budget: Budget) -> int | None:
        """Where the next candidate begins; ``None`` means that there is no secret."""
        me = threading.get_ident()
        _searching.append(me)
        try:
            _check_not_exiting(me)
            found = self._search(data, 0, position, budget)
        finally:
            _searching.remove(me)
        return None if found is None else found[0]

    def next_hit(self, data: bytes, floor: int, position: int, budget: Budget) -> Hit | None:
        """The first secret at or after ``position``; bytes before ``floor`` are not searched.

        Once the budget is spent, or if rejected matches cost more than linear time, all the rest is one hit named `GIVEN_UP`.
        """
        me = threading.get_ident()
        _searching.append(me)
        try:
            _check_not_exiting(me)
            return self._next_hit(data, floor, position, budget)
        finally:
            _searching.remove(me)

    def first_unfinished(self, data: bytes, floor: int, position: int) -> int:
        """Where the earliest match begins that more text could complete or lengthen; ``len(data)`` if there is none."""
        unfinished = self._unfinished or self._ready_unfinished()
        me = threading.get_ident()
        _searching.append(me)
        try:
            _check_not_exiting(me)
            return unfinished.first(data[floor:] if floor else data, position - floor) + floor
        finally:
            _searching.remove(me)

    def _next_hit(self, data: bytes, floor: int, position: int, budget: Budget) -> Hit | None:
        view = memoryview(data)[floor:] if floor else data
        at, wasted = position - floor, 0
        while found := self._search(view, floor, at, budget):
            start, end = found
            if budget.candidates <= 0:
                return Hit(start + floor, len(data), GIVEN_UP, start + floor, final=True)
            budget.candidates -= 1
            hit = self._resolve(data, view, floor, start, end, budget)
            if hit is None:
                at = start + 1
            elif self._is_allowed(data[hit.start : hit.end], hit.name):
                at = max(hit.end - floor, start + 1)
            else:
                return hit
            wasted += end - start
            if wasted > _WASTED_BYTES + _WASTED_RATIO * (at + floor - position):
                budget.candidates = 0
        return None

    def _search(self, view: bytes | memoryview, floor: int, at: int, budget: Budget) -> tuple[int, int] | None:
        """Where the next candidate begins, and where that which matched ends."""
        ahead = budget.ahead.get(self)
        if ahead is None:
            ahead = budget.ahead[self] = _Ahead(self._finder, self._may_match(view), floor)
        return ahead.search(view, floor, at)

    def _may_match(self, text: bytes | memoryview) -> list[bool]:
        """Of each group, whether it may match anywhere; all of them may where the beginning of a long text has any of it."""
        if self._for_base64:
            return [True] * len(self._groups)
        firsts = self._firsts or self._ready_firsts()
        beginning = bytes(text[:LONG_BYTES])
        found = [first(beginning) != _ALL_TEXTS for first in firsts]
        if len(text) == len(beginning):
            return found
        if any(found):
            return [True] * len(found)
        data = bytes(text)
        if _is_of_words(data):
            return [self._ready_whole()(data) != _ALL_TEXTS] * len(found)
        return [first(data) != _ALL_TEXTS for first in firsts]

    def _resolve(self, data: bytes, view: bytes | memoryview, floor: int, start: int, end: int, budget: Budget) -> Hit | None:
        """The first rule that matches at ``start`` of the view and is confirmed by its check."""
        for index in self._candidates(view, start, end, budget.ahead[self].at(start + floor)):
            rule = self._rules[index]
            if rule.by_start:
                begin, stop = start, end
            else:
                regexp, group = self._each.get(index) or self._rule_regexp(index)
                m = regexp.match(view, start)
                if m is None:
                    continue
                begin, stop = m.span(group)
            found = (
                rule.check(data, floor, begin + floor, stop + floor) if rule.check else SecretRange(begin + floor, stop + floor)
            )
            if found and found.end > max(found.start, floor):
                budget.candidates -= found.examined // BYTES_EXAMINED
                return Hit(found.start, found.end, found.name or rule.name, min(found.start, start + floor), found.final)
        return None

    def _candidates(self, view: bytes | memoryview, start: int, end: int, groups: Sequence[int]) -> Sequence[int]:
        window = bytes(view[start : max(end, start + _RULE_WINDOW_BYTES)])
        found: list[int] = []
        for group in groups:
            # Empty if what matches is longer than the window, or RE2 ran out of memory.
            matching = (self._sets[group] or self._ready_set(group)).matching(window)
            found += [self._places[group][index] for index in matching] if matching else self._places[group]
        return sorted(found)

    def _ready_firsts(self) -> tuple[Callable[[bytes], list[int] | None], ...]:
        with self._compiling:
            if not self._firsts:
                # Sets, as their binding makes no object of a match: five times as fast for a short text.
                self._firsts = tuple(_search_set((first_search(rules),), self._utf8, _generation) for rules in self._groups)
        return self._firsts

    def _ready_whole(self) -> Callable[[bytes], list[int] | None]:
        """The first search of all groups at once: for a long text of words a third of what one after the other takes."""
        return _search_set((first_search(self._rules),), self._utf8, _generation)

    def _finder(self, index: int) -> Regexp:
        """The pattern of all rules of a group."""
        finder = self._finders[index]
        if finder is None:
            with self._compiling:
                finder = self._finders[index] = self._compiled(joined(self._groups[index]), capture=False)
        return finder

    def _ready_set(self, group: int) -> PatternSet:
        with self._compiling:
            pattern_set = self._sets[group]
            if pattern_set is None:
                # Where only the place of a match counts, its rule's pattern is not tried again.
                patterns = tuple(rule.pattern if rule.by_start else loosened(rule.pattern) for rule in self._groups[group])
                pattern_set = self._sets[group] = _pattern_set(patterns, self._utf8, _generation)
        return pattern_set

    def _ready_unfinished(self) -> _Unfinished:
        patterns = tuple(rule.unfinished for rule in self._rules if rule.unfinished)
        ends = tuple(self._compiled(rf"(?:{pattern})\z", capture=False) for pattern in patterns)
        unfinished = self._unfinished = _Unfinished(_search_set(patterns, self._utf8, _generation), ends)
        return unfinished

    def _rule_regexp(self, index: int) -> tuple[Regexp, int]:
        regexp = self._compiled(self._rules[index].pattern, capture=True)
        self._each[index] = regexp, regexp.groupindex.get(b"secret", 0)
        return self._each[index]

    def _compiled(self, pattern: str, *, capture: bool) -> Regexp:
        return compiled(pattern, utf8=self._utf8, capture=capture, generation=_generation)

    def abandon(self) -> None:
        """Compile anew before the next search."""
        _abandoned.append((self._firsts, self._finders, self._sets, self._unfinished, self._each))
        self._forget()

    def renew_lock(self) -> None:
        """In the child of a fork: another thread of the parent may have held it."""
        self._compiling = threading.RLock()


def _is_base64(data: bytes) -> bool:
    return not data[:LONG_BYTES].translate(None, _OF_BASE64) and not data.translate(None, _OF_BASE64)


def _is_of_words(data: bytes) -> bool:
    """Whether a long text has many blanks, quotes and commas. In others, such as base64, one pattern of all rules makes too many
    states: 20 MB took 1.2 s the first time, with three 0.4 s."""
    sample = b"".join(data[at : at + _SAMPLE_BYTES] for at in range(0, len(data), len(data) // _SAMPLES))
    return sum(map(sample.count, (b" ", b"\n", b'"', b","))) * _LONGEST_WORDS >= len(sample)


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_searching: list[int] = []
"""The threads that are searching in any engine."""
_generation = 0
"""That of the programs in use."""
_abandoned: list[object] = []
"""Programs with locks that may be held: never used again, never destroyed either."""
_exiting: int | None = None
"""The thread that is ending the process."""


def _renew_after_fork() -> None:
    """RE2 searches without the GIL and under its own locks; one held by a thread that the child lacks is held for ever.

    Engines with the same rules share programs, since ``re2`` caches what it compiled: one search spoils them for all engines.
    """
    global _exiting, _generation
    _exiting, me, engines = None, threading.get_ident(), list(_engines)
    if any(thread != me for thread in _searching):
        _generation += 1
        for engine in engines:
            engine.abandon()
    for engine in engines:
        engine.renew_lock()
    _searching[:] = [thread for thread in _searching if thread == me]


def _check_not_exiting(me: int) -> None:
    if _exiting is not None and _exiting != me:
        raise RuntimeError("the interpreter is shutting down")


def _wait_for_searches() -> None:
    """Before 3.14, CPython ends a daemon thread when it next takes the GIL; inside RE2's binding that aborts the process.

    So at exit a search in another thread is refused (its caller fails closed), and those under way are waited for.
    """
    global _exiting
    me = _exiting = threading.get_ident()
    deadline = time.monotonic() + _EXIT_WAIT_S
    while any(thread != me for thread in list(_searching)):
        if time.monotonic() > deadline:
            break
        time.sleep(0.001)


after_fork_in_child(_renew_after_fork)
# Registered when the package is imported, so that it runs after the handlers of those who use it.
atexit.register(_wait_for_searches)
