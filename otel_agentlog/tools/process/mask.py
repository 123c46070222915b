"""Keeps known secrets out of what is recorded: the values of secret inputs and variables, wherever a process repeats them.

Rules find secrets by their form; these are known by value. What the caller gets back is not masked.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from otel_agentlog.record.redaction.redactor import Redactor

MASKED = "[redacted:input]"
SHORTEST = 4
"""Secrets below that many characters are not searched for in text: they would be found everywhere."""
_LONGEST = 4096
_SWITCHES = frozenset({"true", "false", "none", "null", "enabled", "disabled", "default", "auto"})


class Mask:
    """Replaces every occurrence of some texts."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {form for secret in secrets for form in _forms(secret)}
        self._secrets = sorted(known, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, self._secrets))) if self._secrets else None

    def text(self, text: str) -> str:
        """The text without the secrets."""
        return self._pattern.sub(MASKED, text) if self._pattern else text

    def value(self, value: Any) -> Any:
        """The same for every text in a JSON value, names included."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(key): self.value(item) for key, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, (list, tuple)) else value

    def open_end(self, text: str) -> int:
        """Where the end of the text begins that could be the beginning of a secret; its length if there is none."""
        longest = min(len(text), max(map(len, self._secrets), default=1) - 1)
        for size in range(longest, 0, -1):
            if any(len(secret) > size and text.endswith(secret[:size]) for secret in self._secrets):
                return len(text) - size
        return len(text)


class MaskedStream:
    """Masks text that comes in pieces."""

    def __init__(self, mask: Mask) -> None:
        self._mask, self._held = mask, ""

    def feed(self, piece: str) -> str:
        """What may be shown now."""
        text = self._mask.text(self._held + piece)
        cut = self._mask.open_end(text)
        self._held = text[cut:]
        return text[:cut]

    def flush(self) -> str:
        """The rest; there is no more."""
        rest, self._held = self._held, ""
        return self._mask.text(rest)


def _forms(secret: str) -> Iterator[str]:
    """How a secret may be printed: as it is, as a JSON string, line by line."""
    for form in (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], *secret.splitlines()):
        if len(form.strip()) >= SHORTEST and len(form) <= _LONGEST:
            yield form


@cache
def _redactor() -> Redactor:
    return Redactor()


def is_secret(name: str, value: Any) -> bool:
    """Whether the value under this name is secret: ``password``, ``api_key``, ``GITHUB_TOKEN`` …

    Stricter than the rules for whatever is recorded: under a name that may mean a secret (``token``) every single word is one.
    Not secret under any name: a switch (``false``), and where something is (``PWD``, ``SSH_KEY=/root/.ssh/id``), as commands
    repeat such words.
    """
    rule = _redactor().key_rule(name) if name else None
    if rule is None or (isinstance(value, str) and (value.lower() in _SWITCHES or _is_location(name, value))):
        return False
    return rule.certain or (isinstance(value, str) and not re.search(r"\s", value))


def _is_location(name: str, value: str) -> bool:
    """Whether a value is the working directory, which may be gone, or a path that exists; base64 may begin like a path, too."""
    if not os.path.isabs(value):
        return False
    return name.upper().endswith("PWD") or ("\0" not in value and os.path.lexists(value))


def secret_inputs(schema: Mapping[str, Any], value: Any, name: str = "") -> Iterator[str]:
    """The texts of all inputs that are secret, by their schema (``writeOnly``) or by their name."""
    if schema.get("writeOnly") or is_secret(name, value):
        yield from _texts(value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from secret_inputs(schema_of(schema, str(key)), item, str(key))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from secret_inputs(schema.get("items", {}), item, name)


def shown_inputs(schema: Mapping[str, Any], value: Any, mask: Mask) -> Any:
    """The inputs as they may be recorded."""
    if schema.get("writeOnly"):
        return MASKED
    if isinstance(value, Mapping):
        return {mask.text(str(key)): shown_inputs(schema_of(schema, str(key)), item, mask) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown_inputs(schema.get("items", {}), item, mask) for item in value]
    return mask.value(value)


def schema_of(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The schema of one property; an empty one if there is none."""
    further = schema.get("additionalProperties")
    found = schema.get("properties", {}).get(name, further)
    return found if isinstance(found, Mapping) else {}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, (str, int, float)) and not isinstance(value, bool):
        yield str(value)
