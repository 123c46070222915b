"""Replaces secrets by markers before a line is written or sent: `Redactor.text` takes text, returns it redacted and a count.

    redactor = Redactor(extra_keys=["internal ref"], allow=["sk-example-key-of-the-docs-0001"])
    redactor.text("Authorization: Bearer eyJ…")    # ("Authorization: [redacted:authorization]", 1)

A marker is ``[redacted:<rule>]`` and holds nothing of the secret. The rules are listed in ``docs/redaction.md``.
Redacting twice changes nothing. `StreamGuard` does the same for text that arrives in pieces.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import accumulate

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import lazy_pattern
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.record.redaction.engine import LONG_BYTES, Budget, Engine, Hit, Regexp, compiled
from otel_agentlog.record.redaction.key_rules import KEY_RULE_NAMES, KeyRule, key_rule, words_of
from otel_agentlog.record.redaction.pii import personal_rules
from otel_agentlog.record.redaction.rules import TOKEN_RULES, SecretRule
from otel_agentlog.record.redaction.rules_by_service import SERVICE_RULES
from otel_agentlog.record.redaction.rules_by_value import fits
from otel_agentlog.record.redaction.rules_in_context import named_rules
from otel_agentlog.record.redaction.rules_on_the_wire import WIRE_RULES

FAILED = "[redacted: redactor failed]"
"""Replaces a text that could not be redacted."""

_PATTERN_PREFIX = "re:"

_SCHEME = lazy_pattern(rb"(?i)(?:bearer|token|basic|apikey|api-key|key|digest)\s+(?=\S+\Z)")
_EDGES = lazy_pattern(r"\^|\$|\\[AzZ]")


def marker(rule_name: str) -> str:
    """The text that replaces a secret."""
    return f"[redacted:{rule_name}]"


def repaired(text: str) -> str:
    """Text that can be encoded as UTF-8: surrogate pairs that were torn apart joined again, lone ones U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def default_rules(keys: Callable[[str], KeyRule | None] = key_rule, extra_keys: Iterable[str] = ()) -> tuple[SecretRule, ...]:
    """All value rules, in the order in which they are tried at one place."""
    return TOKEN_RULES + WIRE_RULES + named_rules(keys, extra_keys) + SERVICE_RULES


class Redactor:
    """One policy for all text. Compiles at first use, not when constructed. Safe from any thread."""

    def __init__(
        self,
        *,
        keys: Callable[[str], KeyRule | None] = key_rule,
        rules: Sequence[SecretRule] | None = None,
        extra_keys: Iterable[str] = (),
        extra_patterns: Mapping[str, str] | Iterable[str] = (),
        allow: Iterable[str] = (),
        unmask: Iterable[str] = (),
        personal: Iterable[str] = (),
    ) -> None:
        """Combine rules into a policy.

        ``keys`` are the rules for names, ``rules`` replace `default_rules`. ``extra_keys`` are further secret names;
        ``internal ref`` means ``internal_ref``, ``internalRef`` and ``x-internal-ref``. ``extra_patterns`` are RE2 patterns,
        by name if given as a mapping; a group named ``secret`` is the part that is replaced. ``allow`` are values that are
        never redacted: exact, or RE2 patterns for the whole value if they begin with ``re:``. ``unmask`` are names of rules to
        switch off. ``personal`` are the kinds of personal data that are redacted too: ``email`` ``phone`` ``iban`` ``ip``, or
        ``all``.

        Raises:
            ConfigurationError: a pattern that RE2 does not accept or that matches nothing at all, an unknown rule to unmask, or
                an unknown kind of personal data.
        """
        terms = [" ".join(words_of(name)) for name in extra_keys]
        self._own_terms = {tuple(term.split()): KeyRule(term.replace(" ", "-")) for term in terms if term}
        self._keys = keys
        self.key_rule = lru_cache(maxsize=4096)(self._judge_key)
        extra = _extra_rules(extra_patterns)
        builtin = default_rules(self.key_rule, [term for term in terms if term]) if rules is None else tuple(rules)
        builtin += personal_rules(personal)
        self.unmasked = _known(unmask, {rule.name for rule in (*builtin, *extra)} | KEY_RULE_NAMES | {"hidden"})
        """Names of the rules that are switched off."""
        exact, patterns = _allowances(allow)
        self._allowed = frozenset(exact)
        self._allowed_patterns = Engine(patterns, lambda value, name: False, utf8=True) if patterns else None
        self._engines = [Engine([r for r in builtin if r.name not in self.unmasked], self._is_allowed)]
        kept = [r for r in extra if r.name not in self.unmasked]
        if kept:
            self._engines.append(Engine(kept, self._is_allowed, utf8=True))
        self.asks_for_edges = any(_EDGES.search(rule.pattern) for rule in kept)
        """Whether a pattern of the user's may ask for the beginning or end of a text: then each text is searched alone."""
        if len(self._engines) == 1:
            self.finds_none = self._engines[0].finds_none  # type: ignore[method-assign]  # as usual; every line passes here

    def finds_none(self, data: bytes) -> bool:
        """Whether UTF-8 data, texts joined by NUL among them, certainly holds no secret."""
        return all(engine.finds_none(data) for engine in self._engines)

    def finds_none_in(self, texts: Sequence[str]) -> bool:
        """The same for texts of any length, the long ones each on its own. Raises `UnicodeEncodeError` for lone surrogates."""
        short, long = _by_length(texts)
        if short and not self.finds_none("\0".join(short).encode()):
            return False
        for data in map(str.encode, long):
            engines = [engine.for_text(data) for engine in self._engines]
            if any(engine.next_candidate(data, 0, Budget(len(data))) is not None for engine in engines):
                return False
        return True

    def text(self, text: str) -> tuple[str, int]:
        """The text with every secret replaced and lone surrogates repaired, and how many secrets there were."""
        return self.sized_text(text)[:2]

    def sized_text(self, text: str) -> tuple[str, int, int]:
        """What `text` gives, and the size of the result in UTF-8 bytes."""
        try:
            data = text.encode()
        except UnicodeEncodeError:
            text = repaired(text)
            data = text.encode()
        redacted, count = self.data(data)
        return (redacted.decode("utf-8", "replace") if count else text), count, len(redacted)

    def data(self, data: bytes) -> tuple[bytes, int]:
        """The same for UTF-8, or any other bytes."""
        if len(data) <= LONG_BYTES and self.finds_none(data):
            return data, 0
        pieces: list[bytes | memoryview] = []
        view, end = memoryview(data), 0
        for hit in self.hits(data):
            pieces += (view[end : hit.start], marker(hit.name).encode())
            end = hit.end
        if not pieces:
            return data, 0
        pieces.append(view[end:])
        return b"".join(pieces), len(pieces) // 2

    def warm(self) -> None:
        """Compile what the first text with a secret needs: 50 ms of CPU, without the GIL. Nothing depends on it."""
        self.data(b"password=x1y2z3")

    def hits(self, data: bytes) -> Iterator[Hit]:
        """The secrets in UTF-8 data, from left to right, none overlapping another."""
        floor, budget = 0, Budget(len(data))
        engines = [engine.for_text(data) for engine in self._engines]
        upcoming: list[Hit | None] = [engine.next_hit(data, 0, 0, budget) for engine in engines]
        while found := [hit for hit in upcoming if hit]:
            hit = min(found, key=lambda hit: hit.start)
            yield hit
            floor = hit.end
            for i, other in enumerate(upcoming):
                if other and other.start < floor:
                    upcoming[i] = engines[i].next_hit(data, floor, floor, budget)

    def next_hit(self, data: bytes, floor: int, position: int) -> Hit | None:
        """The first secret at or after ``position``; bytes before ``floor`` are not searched."""
        budget = Budget(len(data))
        found = [hit for engine in self._engines if (hit := engine.next_hit(data, floor, position, budget))]
        return min(found, key=lambda hit: hit.start) if found else None

    def first_unfinished(self, data: bytes, floor: int, position: int) -> int:
        """Where the text begins that more text could turn into a secret; ``len(data)`` if there is none."""
        return min(engine.first_unfinished(data, floor, position) for engine in self._engines)

    def changes(self, texts: Sequence[str]) -> dict[str, tuple[str, int]]:
        """The results of `text` for those texts that hold secrets. Raises `UnicodeEncodeError` where one has a lone surrogate."""
        texts, long = _by_length(texts)
        data = "\0".join(texts).encode()
        candidates: set[int] = set()
        for engine in self._engines:
            budget = Budget(len(data))
            at = engine.next_candidate(data, 0, budget)
            if at is not None:
                candidates.update(_candidates(engine, data, texts, at, budget))
        redacted = {text: self.text(text) for text in (*(texts[i] for i in candidates), *long)}
        return {text: result for text, result in redacted.items() if result[1] or result[0] != text}

    def is_secret_key(self, key: str) -> bool:
        """Whether every value under this name is secret."""
        rule = self.key_rule(key)
        return rule is not None and rule.certain

    def masks(self, rule: KeyRule, value: str) -> bool:
        """Whether a text under a name of this rule is replaced as a whole."""
        if value in self._allowed or value.startswith("[redacted") or not value:
            return False
        # Read from a file it ends with a newline; a header has a scheme before it.
        data = _SCHEME.sub(b"", value.strip().encode("utf-8", "replace"))
        return fits(rule, data) and not self._is_allowed(data, rule.name)

    def _judge_key(self, key: str) -> KeyRule | None:
        rule = self._own_rule(key) or self._keys(key)
        return None if rule and rule.name in self.unmasked else rule

    def _own_rule(self, key: str) -> KeyRule | None:
        if not self._own_terms:
            return None
        words = words_of(key)
        spans = ((i, j) for i in range(len(words)) for j in range(i + 1, len(words) + 1))
        return next((rule for i, j in spans if (rule := self._own_terms.get(tuple(words[i:j])))), None)

    def _is_allowed(self, value: bytes, rule_name: str) -> bool:
        if rule_name in self.unmasked:
            return True
        if self._allowed and value.decode("utf-8", "replace") in self._allowed:
            return True
        return self._allowed_patterns is not None and not self._allowed_patterns.finds_none(value)


def _by_length(texts: Sequence[str]) -> tuple[Sequence[str], list[str]]:
    """The texts that are searched together, and the long ones, each of which is searched once and on its own."""
    long = list(dict.fromkeys(text for text in texts if len(text) > LONG_BYTES))
    return [text for text in texts if len(text) <= LONG_BYTES] if long else texts, long


def _candidates(engine: Engine, data: bytes, texts: Sequence[str], first: int, budget: Budget) -> Iterator[int]:
    """Indexes of the texts, joined by NUL into ``data``, that hold a candidate; ``first`` is the position of the first one."""
    ends = list(accumulate(len(text.encode()) + 1 for text in texts))
    at: int | None = first
    while at is not None:
        # A match includes the character before the secret, which may be the NUL before its text.
        index = bisect_right(ends, at + (data[at] == 0))
        if index >= len(ends):
            return
        yield index
        at = engine.next_candidate(data, ends[index] - 1, budget) if ends[index] < len(data) else None


def _extra_rules(patterns: Mapping[str, str] | Iterable[str]) -> list[SecretRule]:
    if isinstance(patterns, str):
        patterns = [patterns]
    named = patterns.items() if isinstance(patterns, Mapping) else ((f"custom-{i}", p) for i, p in enumerate(patterns, 1))
    rules = [SecretRule(name, "given by the user", pattern, unfinished=r"[^\n]+") for name, pattern in named]
    for rule in rules:
        if not re.fullmatch(r"[\w.-]{1,64}", rule.name):
            raise ConfigurationError("redaction_patterns", rule.name, "a name of letters, digits, '.', '_' and '-'")
        if _compiled("redaction_patterns", rule.pattern).search(b"") is not None:
            raise ConfigurationError("redaction_patterns", rule.pattern, "a pattern that does not match the empty text")
    return rules


def _compiled(setting: str, pattern: str) -> Regexp:
    try:
        return compiled(pattern)
    except ValueError as error:
        raise_interrupt()
        raise ConfigurationError(setting, pattern, f"a pattern in RE2 syntax ({error})") from None


def _allowances(allow: Iterable[str]) -> tuple[list[str], list[SecretRule]]:
    """Exact values, and rules that match only whole values."""
    entries = [allow] if isinstance(allow, str) else list(allow)
    patterns = [entry[len(_PATTERN_PREFIX) :] for entry in entries if entry.startswith(_PATTERN_PREFIX)]
    for pattern in patterns:
        _compiled("redaction_allow", pattern)
    exact = [entry for entry in entries if not entry.startswith(_PATTERN_PREFIX)]
    return exact, [SecretRule("allowed", "given by the user", rf"\A(?:{pattern})\z") for pattern in patterns]


def _known(unmask: Iterable[str], names: set[str] | frozenset[str]) -> frozenset[str]:
    chosen = frozenset([unmask] if isinstance(unmask, str) else unmask)
    for name in sorted(chosen - names):
        raise ConfigurationError("redaction_unmask", name, f"names of rules, such as {', '.join(sorted(names)[:5])}")
    return chosen
