"""Makes any object safe to record: plain JSON values, bounded in size and time, free of secrets.

    cleaned = Cleaner(Redactor()).clean({"api_key": "sk-…", "when": datetime.now(), "self": thing})
    cleaned.value      # {"api_key": "[redacted:api-key]", "when": "2026-11-21T05:22:01", "self": "<app.Thing>"}
    cleaned.redacted   # 1

The result holds only exact ``str``, ``int`` (64 bits), finite ``float``, ``bool``, ``None``, ``list`` and ``dict`` with ``str``
keys, and `orjson` takes it. Foreign code is not run (see `objects`). What is left out leaves a mark that says how much.

What JSON cannot say stands as an object with one key: ``{"$bytes": "<base64>"}``, ``{"$float": "NaN"}``. A user's own object
that would look like one gets one more dollar sign: ``{"$bytes": 1}`` is kept as ``{"$$bytes": 1}``; readers take one away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from otel_agentlog.record.redaction.key_rules import KeyRule
from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.sanitize.class_info import placeholder
from otel_agentlog.record.sanitize.secrets import Secrets
from otel_agentlog.record.sanitize.walk import Limits, Walk

__all__ = ["Cleaned", "Cleaner", "Limits"]

_MAX_KNOWN_KEYS = 4096


@dataclass(slots=True)
class Cleaned:
    """A value made safe, and what that took."""

    value: Any
    redacted: int
    """Secrets replaced."""
    truncated: int
    """Places where something was left out."""
    failed: int
    """Objects that could not be read and texts that could not be redacted; a mark stands for each."""


class Cleaner:
    """The one pass between what a user hands in and everything that is kept or sent. Any thread may use it."""

    def __init__(self, redactor: Redactor | None, limits: Limits = Limits()) -> None:  # noqa: B008 - frozen
        """``redactor=None`` bounds and repairs without looking for secrets."""
        self._redactor = redactor
        self._limits = limits
        self._known_keys: dict[str, KeyRule | None] = {}

    def clean(self, value: object, key: str | None = None) -> Cleaned:
        """Make any object safe. ``key`` is the name it will stand under, for the key rules. Never raises."""
        secrets = Secrets(self._redactor)
        walk = Walk(secrets, self._limits, self._known_keys)
        try:
            result = walk.value(value) if key is None else walk.under(key, value)
            try:
                data = "\0".join(walk.texts).encode()
                changes = self._redactor.changes(walk.texts, data) if self._redactor else {}
            except Exception:  # noqa: BLE001 - a lone surrogate, or one text that the redactor fails at
                changes = secrets.each(walk.texts)
            if changes:
                result = secrets.replaced(result, changes)
            elif walk.new_keys:
                self._remember(walk.new_keys)
        except Exception:  # noqa: BLE001 - out of memory or stack, or a bug of ours: the record stays, the value goes
            return Cleaned(f"[unreadable: {placeholder(value)}]", 0, 0, 1)
        return Cleaned(result, secrets.redacted, walk.truncated, walk.failed + secrets.failed)

    def clean_line(self, line: dict[str, Any]) -> Cleaned:
        """Make every value of a line safe, below every key. If that fails as a whole, each value is tried alone."""
        cleaned = self.clean(line)
        if type(cleaned.value) is dict:
            return cleaned
        parts = {str(key): self.clean(value, str(key)) for key, value in list(line.items())}
        counts = [sum(getattr(part, name) for part in parts.values()) for name in ("redacted", "truncated", "failed")]
        return Cleaned({key: part.value for key, part in parts.items()}, *counts)

    def text(self, text: str) -> tuple[str, int, int]:
        """A name, message or traceback, safe and bounded: the text, secrets replaced, places left out."""
        cleaned = self.clean(text)
        return str(cleaned.value), cleaned.redacted, cleaned.truncated

    def _remember(self, keys: dict[str, KeyRule | None]) -> None:
        """Names without secrets in them need not be looked into again."""
        if len(self._known_keys) > _MAX_KNOWN_KEYS:
            self._known_keys.clear()
        self._known_keys.update(keys)
