"""What a process prints: kept up to a limit for the caller, and passed on live, cleaned, in bounded pieces.

Beyond the limit of each stream its first and its last half are kept, and the middle is left out: results begin at the beginning,
errors come at the end. The process is not slowed down: everything is read. Bytes that are no UTF-8 become U+FFFD. The functions
`recorded_…` put output into a run while it comes, and at its end excerpts, figures and why it failed.
"""

from __future__ import annotations

import codecs
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from otel_agentlog.error_handling.categories import ErrorDetails
from otel_agentlog.record.operations.tool_run import ToolRun
from otel_agentlog.record.recorder import recorder
from otel_agentlog.tools.causes import CAUSES, ToolError
from otel_agentlog.tools.process.mask import Mask, MaskedStream
from otel_agentlog.tools.process.result import Ending, ResourceUsage

STREAMS = ("stdout", "stderr")
_PIECE_CHARACTERS = 16_384
_LIVE_INTERVAL_S = 0.2
EXCERPT_CHARACTERS = 4000
"""How much of each stream is in the end line of a run, besides what was recorded while it ran."""


class TextRedactor(Protocol):
    """Redacts one stream of text."""

    def feed(self, chunk: str) -> str: ...
    def flush(self) -> str: ...


class KeptStream:
    """The first and the last bytes of a stream."""

    def __init__(self, limit_bytes: int) -> None:
        self._head_limit = limit_bytes - limit_bytes // 2
        self._tail_limit = limit_bytes // 2
        self._head, self._tail = bytearray(), bytearray()
        self.size_bytes = 0
        """How much there was, kept or not."""

    def add(self, data: bytes) -> None:
        """The next piece."""
        self.size_bytes += len(data)
        room = self._head_limit - len(self._head)
        if room > 0:
            self._head += data[:room]
            data = data[room:]
        self._tail += data
        if len(self._tail) > 2 * self._tail_limit + 65_536:
            self._trim()

    def _trim(self) -> None:
        del self._tail[: len(self._tail) - self._tail_limit]

    @property
    def left_out_bytes(self) -> int:
        """How many bytes of the middle are not kept."""
        return max(0, self.size_bytes - self._head_limit - self._tail_limit)

    def parts(self) -> tuple[str, str]:
        """What is kept before and after what is left out; all of it and nothing if nothing is."""
        if not self.left_out_bytes:
            return (self._head + self._tail).decode("utf-8", "replace"), ""
        self._trim()
        return self._head.decode("utf-8", "replace"), self._tail.decode("utf-8", "replace")

    def text(self) -> str:
        """What is kept, with a line in the place of what is not."""
        head, tail = self.parts()
        return f"{head}\n[{self.left_out_bytes} bytes left out]\n{tail}" if self.left_out_bytes else head

    def end(self, size_bytes: int = 4096) -> str:
        """The last of it."""
        data = self._tail if len(self._tail) >= size_bytes or self.left_out_bytes else self._head + self._tail
        return bytes(data[-size_bytes:]).decode("utf-8", "replace")


def excerpt(
    kept: KeptStream, mask: Mask, new_redactor: Callable[[], TextRedactor] | None, limit: int = EXCERPT_CHARACTERS
) -> str:
    """The beginning and the end of a stream, as they may be recorded; cut only where nothing secret is left to be cut in two."""
    head, tail = kept.parts()
    text = _clean(head, mask, new_redactor, whole=not tail)
    if tail:
        # Its first line may begin in the middle of a secret.
        text += f"\n[{kept.left_out_bytes} bytes left out]\n" + _clean(tail.partition("\n")[2], mask, new_redactor, whole=True)
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[{len(text) - 2 * half} characters left out]\n{text[-half:]}"


def _clean(text: str, mask: Mask, new_redactor: Callable[[], TextRedactor] | None, *, whole: bool) -> str:
    masked = MaskedStream(mask)
    text = masked.feed(text) + (masked.flush() if whole else "")
    if new_redactor is None:
        return text
    redactor = new_redactor()
    return redactor.feed(text) + (redactor.flush() if whole else "")


class Live:
    """Passes one stream on while it comes: decoded, masked, redacted, in pieces that are neither tiny nor huge."""

    def __init__(self, emit: Callable[[str], None], mask: Mask, redactor: TextRedactor | None, limit_bytes: int) -> None:
        self._emit, self._masked, self._redactor = emit, MaskedStream(mask), redactor
        self._left_bytes = limit_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending, self._since = "", 0.0

    def add(self, data: bytes) -> None:
        """The next piece, as it was printed."""
        if self._left_bytes <= 0:
            return
        taken, self._left_bytes = data[: self._left_bytes], self._left_bytes - len(data)
        self._queue(self._decoder.decode(taken))
        if self._left_bytes <= 0:
            # What is held back is dropped: it may be the beginning of a secret.
            self._pending += "\n[further output is not kept here]\n"
            self._empty()

    def _queue(self, text: str) -> None:
        text = self._masked.feed(text)
        text = self._redactor.feed(text) if self._redactor is not None else text
        if text and not self._pending:
            self._since = time.monotonic()
        self._pending += text
        while len(self._pending) >= _PIECE_CHARACTERS:
            self._pass_on(_PIECE_CHARACTERS)

    def _pass_on(self, characters: int) -> None:
        piece, self._pending = self._pending[:characters], self._pending[characters:]
        if piece:
            self._emit(piece)

    def tick(self) -> None:
        """Pass on what has waited long enough."""
        if self._pending and time.monotonic() - self._since >= _LIVE_INTERVAL_S:
            self._pass_on(_PIECE_CHARACTERS)

    def close(self) -> None:
        """Pass on the rest."""
        if self._left_bytes <= 0:
            return
        self._left_bytes = 0
        self._queue(self._decoder.decode(b"", True))
        rest = self._masked.flush()
        self._pending += (self._redactor.feed(rest) + self._redactor.flush()) if self._redactor is not None else rest
        self._empty()

    def _empty(self) -> None:
        while self._pending:
            self._pass_on(_PIECE_CHARACTERS)


class Output:
    """Both streams of one process."""

    def __init__(
        self,
        limit_bytes: int,
        *,
        emit: Callable[[str, str], None] | None = None,
        mask: Mask | None = None,
        new_redactor: Callable[[], TextRedactor] | None = None,
        stop_beyond: bool = False,
    ) -> None:
        self.kept = {name: KeptStream(limit_bytes) for name in STREAMS}
        self._limit, self._stop_beyond = limit_bytes, stop_beyond
        self._live: dict[str, Live] = {}
        self.stopped = False
        """Whether the process was ended because it printed too much."""
        if emit is not None:
            for name in STREAMS:
                self._live[name] = Live(
                    partial(emit, name), mask or Mask(), new_redactor() if new_redactor else None, limit_bytes
                )

    def take(self, stream: str, data: bytes) -> bool:
        """The next piece of a stream; true if the process must end."""
        self.kept[stream].add(data)
        if stream in self._live:
            self._live[stream].add(data)
        if self._stop_beyond and not self.stopped and self.kept[stream].size_bytes > self._limit:
            self.stopped = True
            return True
        return False

    def tick(self) -> None:
        """Pass on what has waited long enough."""
        for live in self._live.values():
            live.tick()

    def close(self) -> None:
        """Pass on the rest; nothing comes any more."""
        for live in self._live.values():
            live.close()


_TAIL_CHARACTERS = 1000
_TRACE = "Traceback (most recent call last)"
_SELF_EXPLAINING = ("timed_out", "cancelled")


def recorded_output(run: ToolRun, limit_bytes: int, mask: Mask, *, stop_beyond: bool = False) -> Output:
    """Takes what a process prints and records it in that run while it comes."""
    record = recorder()

    def emit(stream: str, text: str) -> None:
        line = {"type": "output", "level": "INFO", "component": "tool", "action": "content_recorded", "content": text}
        run.point({**line, "details": {"stream": stream, "tool": run.name}})

    return Output(
        limit_bytes, emit=emit if record.active else None, mask=mask, new_redactor=record.new_guard, stop_beyond=stop_beyond
    )


def recorded_result(output: Output, ending: Ending, mask: Mask) -> dict[str, Any]:
    """Sizes and excerpts, for the end of the run."""
    record = recorder()
    shown: dict[str, Any] = {}
    for name, stream in output.kept.items():
        shown[f"{name}_bytes"] = stream.size_bytes
        if record.active and stream.size_bytes:
            shown[name] = excerpt(stream, mask, record.new_guard)
    further = {"left_behind": ending.left_behind, "unkillable": list(ending.unkillable), "reason": ending.reason}
    return {**shown, **{key: value for key, value in further.items() if value}}


def set_figures(run: ToolRun, usage: ResourceUsage) -> None:
    """What the processes used, for the end of the run; some of it also on the span."""
    run.resources = usage.as_resources()
    run.set_attribute("agentlog.tool.cpu_seconds", round(usage.cpu_s, 6))
    if usage.memory_peak_mb is not None:
        run.set_attribute("agentlog.tool.memory_peak_mb", usage.memory_peak_mb)


def failure_details(error: ToolError, stderr: str, mask: Mask, execution_id: str) -> ErrorDetails:
    """All about a failure, with the end of stderr; redacted."""
    printed = recorder().clean_text(mask.text(stderr)).strip()
    last = printed.rpartition("\n")[2][-_TAIL_CHARACTERS:]
    cause = CAUSES[error.cause]
    return ErrorDetails(
        category=cause.category,
        message=f"ToolError: {error}" + (f": {last}" if last and error.cause not in _SELF_EXPLAINING else ""),
        context={**error.context, "execution_id": execution_id, **({"stderr": printed[-_TAIL_CHARACTERS:]} if printed else {})},
        suggestions=cause.suggestions,
        stack_trace=printed[printed.rfind(_TRACE) :] if _TRACE in printed else "",
    )
