"""Redacts text that arrives in pieces as if it had arrived whole.

    guard = StreamGuard(redactor)
    for chunk in chunks:
        show(guard.feed(chunk))
    show(guard.flush())

The joined output is what `Redactor.text` returns for the whole text, for any cut into pieces. Held back is only what could
still become a secret: the unfinished word, a name such as ``password:`` with its value, a header up to the end of its
line, a key block up to its end, and the unfinished line if there are patterns of the user's own; and where that is more than
1 KB, up to a sixteenth more within a line.
"""

from __future__ import annotations

import re

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import lazy_pattern
from otel_agentlog.record.redaction.engine import Hit
from otel_agentlog.record.redaction.redactor import FAILED, Redactor, marker, repaired
from otel_agentlog.record.redaction.rules import LOOK_BACK_BYTES

HOLD_BYTES = 16_384
"""Most that is held back. Beyond, a secret that still grows is replaced and its rest dropped; other text is released."""

_KEPT_BYTES = 1024
"""Still held back when text is released for its size: no rule needs more than that to match."""

_MUCH_HELD_BYTES = 1024
"""Where more is held back, it is looked at again when a line ends or a sixteenth has come: each look searches all of it."""

_rest_of_word = lazy_pattern(rb"[^\s\"'`<>]*")
_rest_of_quoted = lazy_pattern(rb"[^\n\"'`]*")
_QUOTES = (b'"', b"'", b"`")


class StreamGuard:
    """Redacts one stream of text. Not safe for several threads at once."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._surrogate = ""
        self._rest_of_secret: re.Pattern[bytes] | None = None
        self.redacted = 0
        """Secrets replaced so far."""
        self.failed = 0
        """How often the redactor raised; the text held back then is lost."""
        self._restart()

    def _restart(self) -> None:
        self._data = b""
        self._floor = self._at = self._unseen = 0

    @property
    def held(self) -> int:
        """Bytes held back now."""
        return len(self._data) - self._at

    def feed(self, chunk: str) -> str:
        """Take the next piece; return what is safe to show now, possibly nothing."""
        chunk = self._surrogate + chunk
        # Half of an emoji: its other half comes with the next piece.
        self._surrogate = chunk[-1:] if "\ud800" <= chunk[-1:] <= "\udbff" else ""
        return self._guarded(chunk[: len(chunk) - len(self._surrogate)], last=False)

    def flush(self) -> str:
        """Return the rest; there is no more text."""
        chunk, self._surrogate = self._surrogate, ""
        out = self._guarded(chunk, last=True)
        self._restart()
        self._rest_of_secret = None
        return out

    def _guarded(self, chunk: str, *, last: bool) -> str:
        try:
            return self._advance(_encoded(chunk), last=last).decode("utf-8", "replace")
        except Exception:  # noqa: BLE001 - fail closed, whatever went wrong
            raise_interrupt()
            self.failed += 1
            self._restart()
            return FAILED

    def _advance(self, new: bytes, *, last: bool) -> bytes:
        self._data += self._without_rest(new)
        self._unseen += len(new)
        if not last and _MUCH_HELD_BYTES < self.held <= HOLD_BYTES and self._unseen * 16 < self.held and b"\n" not in new:
            return b""
        self._unseen = 0
        out = bytearray()
        while True:
            # One byte of what was released may belong to a match: the separator in front of it.
            begin = max(self._floor, self._at - 1)
            end = len(self._data) if last else self._redactor.first_unfinished(self._data, self._floor, begin)
            hit = self._redactor.next_hit(self._data, self._floor, begin)
            if hit is None:
                break
            if not (last or hit.end <= end or (hit.final and hit.origin <= end)):
                # It reaches into text that may change. Its origin may be the separator before the unfinished text.
                end = min(end, hit.origin)
                break
            self._release(hit, out)
        if not last and len(self._data) - end > HOLD_BYTES:
            end = self._release_oldest(hit, out)
        while end > self._at and end < len(self._data) and self._data[end] & 0xC0 == 0x80:
            end -= 1  # never within a character
        out += self._data[self._at : end]
        self._at = max(self._at, end)
        self._trim()
        return bytes(out)

    def _release(self, hit: Hit, out: bytearray) -> None:
        out += self._data[self._at : hit.start] + marker(hit.name).encode()
        self._floor = self._at = hit.end
        self.redacted += 1

    def _release_oldest(self, hit: Hit | None, out: bytearray) -> int:
        """Treat too much held text as if it ended here; returns up to where it is released."""
        limit = len(self._data) - _KEPT_BYTES
        while hit is not None and hit.start < limit:
            if hit.end >= len(self._data):
                quoted = self._data[hit.start - 1 : hit.start] in _QUOTES
                self._rest_of_secret = _rest_of_quoted if quoted else _rest_of_word
            self._release(hit, out)
            hit = self._redactor.next_hit(self._data, self._floor, self._at)
        return max(limit, self._at)

    def _without_rest(self, new: bytes) -> bytes:
        """The new text without the rest of a secret that was too long to be held back."""
        if self._rest_of_secret is None:
            return new
        rest = self._rest_of_secret.match(new)
        kept = new[rest.end() :] if rest else new
        if kept:
            self._rest_of_secret = None
        return kept

    def _trim(self) -> None:
        """Drop released text, except what checks read back to."""
        cut = max(0, self._at - 2 * LOOK_BACK_BYTES)
        self._data = self._data[cut:]
        self._at -= cut
        self._floor = max(0, self._floor - cut)


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return repaired(text).encode()
