"""What is secret in one value: calls the redactor, counts what it replaced, and fails closed.

Where the redactor raises, the text, name or bytes it was called with are taken for secret, and counted in ``failed``.
"""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import dataclass
from otel_agentlog.record.redaction.key_rules import KeyRule
from otel_agentlog.record.redaction.redactor import FAILED, Redactor, marker, repaired
from otel_agentlog.record.redaction.rules_by_service import looks_random
from otel_agentlog.record.sanitize.keys import free_name, is_tag, is_text, text_of_bytes, text_of_tag
from otel_agentlog.record.sanitize.marks import HOLDERS

_MOST_BINARY = 700
"""Length of the base64 of a binary key of 4,096 bits."""
_UNJUDGED = KeyRule("redactor failed")


@dataclass(slots=True)
class Secrets:
    """The redactor, for one value."""

    _redactor: Redactor | None
    redacted: int = 0
    """Secrets replaced."""
    failed: int = 0
    """Texts, names and bytes that the redactor failed at."""

    def text(self, text: str) -> tuple[str, int]:
        """One text without secrets, and its size in UTF-8 bytes."""
        text, count, size = self._text(text)
        self.redacted += count
        return text, size

    def data(self, raw: bytes) -> bytes | None:
        """Bytes without secrets; ``None`` if that failed."""
        if self._redactor is None:
            return raw
        try:
            raw, count = self._redactor.data(raw)
        except Exception:  # noqa: BLE001 - fail closed, whatever went wrong
            raise_interrupt()
            self.failed += 1
            return None
        self.redacted += count
        return raw

    def key_rule(self, key: str) -> KeyRule | None:
        """The rule that a name falls under."""
        if self._redactor is None:
            return None
        try:
            return self._redactor.key_rule(key)
        except Exception:  # noqa: BLE001 - fail closed: a value is secret if the rules for its name fail
            raise_interrupt()
            self.failed += 1
            return _UNJUDGED

    def masked(self, rule: KeyRule, value: Any) -> Any:
        """A cleaned value under a name of that rule: its texts and numbers replaced, if they are secret."""
        kind = type(value)
        if value is None or kind is bool:
            return value
        if kind is str:
            return self.mask(rule) if self._masks(rule, value) else value
        if kind is dict and (text := text_of_tag(value)) is not None:
            return self.mask(rule) if self._masks(rule, text) or self._masks_binary(rule, value["$bytes"]) else value
        if kind is list:
            if (text := text_of_bytes(value)) is not None and self._masks(rule, text):
                return self.mask(rule)
            return [self.masked(rule, item) for item in value]
        if kind is dict and not is_tag(value):
            # What has a name of its own there is judged by that, unless it is what nobody would read.
            below = rule if rule.certain or rule.form else replace(rule, form=looks_random)
            return {key: self.masked(rule if key in HOLDERS else below, item) for key, item in value.items()}
        return self.mask(rule) if rule.certain else value

    def hides(self, rule: KeyRule) -> bool:
        """Whether what a class marks as this kind of secret is masked: where secrets are looked for, and not switched off."""
        return self._redactor is not None and rule.name not in self._redactor.unmasked

    def mask(self, rule: KeyRule) -> str:
        """What replaces a secret of this rule; counts it."""
        self.redacted += 1
        return FAILED if rule is _UNJUDGED else marker(rule.name)

    def _masks(self, rule: KeyRule, value: str) -> bool:
        try:
            return self._redactor is not None and self._redactor.masks(rule, value)
        except Exception:  # noqa: BLE001 - fail closed, whatever went wrong
            raise_interrupt()
            self.failed += 1
            return True

    def _masks_binary(self, rule: KeyRule, encoded: str) -> bool:
        """Of bytes that are no text, a key has few; as base64 they look like one."""
        return len(encoded) <= _MOST_BINARY and not is_text(base64.b64decode(encoded)) and self._masks(rule, encoded.rstrip("="))

    def _text(self, text: str) -> tuple[str, int, int]:
        if self._redactor is None:
            text = repaired(text)
            return text, 0, len(text.encode())
        try:
            return self._redactor.sized_text(text)
        except Exception:  # noqa: BLE001 - fail closed, whatever went wrong
            raise_interrupt()
            self.failed += 1
            return FAILED, 0, len(FAILED)

    def each(self, texts: list[str]) -> dict[str, tuple[str, int]]:
        """What `Redactor.changes` gives, where that fails for all texts together: each is redacted alone."""
        results = {text: self._text(text)[:2] for text in texts}
        return {text: result for text, result in results.items() if result[0] != text}

    def replaced(self, value: Any, changes: dict[str, tuple[str, int]]) -> Any:
        """A cleaned value with these texts and names in it replaced; ``changes`` has by what, and how many secrets that are."""
        if type(value) is str:
            text, count = changes.get(value, (value, 0))
            self.redacted += count
            return text
        if type(value) is list:
            return [self.replaced(item, changes) for item in value]
        if type(value) is not dict:
            return value
        out: dict[str, Any] = {}
        for key, item in value.items():
            out[free_name(self.replaced(key, changes), out)] = self.replaced(item, changes)
        return out
