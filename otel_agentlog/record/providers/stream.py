"""Observes a model's stream while the user's code reads it: `wrap_stream` returns a stand-in, `StreamReader` joins the chunks.

Works for the clients' raw event streams, for the helpers behind ``client.messages.stream()`` and ``client.responses.stream()``
with their managers, and for plain generators; sync and async.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeAlias, cast

from otel_agentlog._interrupts import ABANDONED, in_c, raise_interrupt, suppress_errors
from otel_agentlog.record.providers import anthropic
from otel_agentlog.record.providers import openai_chat as chat
from otel_agentlog.record.providers.failures import BEDROCK, failure_of
from otel_agentlog.record.providers.fields import MODELS, decoded, extra_of, field, has, model_fields, name_of, text
from otel_agentlog.record.providers.openai_responses import ENDS, GROWING, ResponseJoiner
from otel_agentlog.record.providers.others import ChunkJoiner
from otel_agentlog.record.providers.parts import Part, text_part
from otel_agentlog.record.providers.pricing import Billing
from otel_agentlog.record.providers.read import batched, read_billing, read_response
from otel_agentlog.record.providers.usage import usage_in
from otel_agentlog.vocabulary.functions import kind_of
from otel_agentlog.vocabulary.stand_in import StandIn, special_method, stand_in
from otel_agentlog.vocabulary.usage import Failure, Response, Usage

OnChunk: TypeAlias = Callable[[Any], None]
OnEnd: TypeAlias = Callable[[BaseException | None], None]


MAX_LINE = 4_000_000
"""Longest line of a stream of bytes that is waited for, in bytes; a longer one is left out."""
_FEW = 8
"""How many pieces the first characters of a text may be cut into."""


class StreamReader:
    """Joins the chunks of one stream. Not safe for several threads at once; `response` may be called at any time."""

    def __init__(self) -> None:
        self.chunks = 0
        """Chunks added so far, without the events that a client's helper derives from others."""
        self._texts: list[str] = []
        self._are_texts: bool | None = None
        """Whether these are the model's, not pieces of a body; ``None`` while they may be either."""
        self._message: anthropic.MessageJoiner | None = None
        self._completion: chat.CompletionJoiner | None = None
        self._response: ResponseJoiner | None = None
        self._other: ChunkJoiner | None = None
        self._growing: dict[str | None, Any] = {}
        """What takes events that make a text grow, by their type; this itself for those that repeat others."""
        self._failure: Failure | None = None
        self._earlier: list[Response] = []
        """The whole responses of a stream that has several, such as that of an agent's run."""
        self._billing: Billing | None = None
        """That of the lines of a batch's results."""
        self._in_batch: set[str | None] = set()
        """Ids of the answers in these lines."""
        self._rest: list[bytes] = []
        """The beginning of a line whose end was not read yet, in pieces."""

    def add(self, chunk: object) -> None:
        """Add one chunk: an event or chunk of Anthropic or OpenAI, typed or as ``dict``, or a piece of text.

        Anything else is only counted. Never raises.
        """
        kind = type(chunk)
        try:
            # Nearly all chunks only make a text grow. These take a short way; another one changes nothing in here.
            if kind is str and self._are_texts and not chunk.startswith(("data:", "{")):  # type: ignore[attr-defined]
                self._texts.append(chunk)  # type: ignore[arg-type]  # the same
                self.chunks += 1
                return
            fields: Any = (
                chunk if kind is dict else vars(chunk) if MODELS.get(kind) and not extra_of(chunk) else model_fields(chunk)
            )
            if fields is not None and _PACKING.isdisjoint(fields):
                joiner = self._growing.get(fields.get("type"))
                if joiner is self:
                    return  # it repeats others
                if joiner is not None and joiner.add_plain(fields):
                    self.chunks += 1
                    return
        except Exception:  # noqa: BLE001 - foreign objects may do anything: what they are is found out below
            raise_interrupt()
        # The last guard: foreign objects may do anything, and recording must not raise.
        with suppress_errors(Exception):
            if isinstance(chunk, (bytes, bytearray)):
                self._add_bytes(bytes(chunk))
            else:
                self._add(unpacked(chunk))

    def response(self) -> Response:
        """The response so far; a stream that was cut has what arrived, and ``error`` as finish reason."""
        response = self._last()
        if not self._earlier or response.is_total:
            return response
        responses = self._earlier if response == Response() else [*self._earlier, response]
        costs = [one.cost_usd for one in responses if one.cost_usd is not None]
        return replace(
            responses[-1],
            usage=sum((one.usage for one in responses), Usage()),
            cost_usd=sum(costs) if len(costs) == len(responses) else None,
            output=tuple(part for one in responses for part in one.output),
        )

    def _last(self) -> Response:
        joined = self._joined()
        response = Response() if joined is None else read_response(joined)
        known = self._message or self._response or self._completion
        if known and self._other is not None:
            other = read_response(self._other.joined())
            if other.is_total or not response.usage.known():
                response = replace(response, usage=other.usage, cost_usd=other.cost_usd, is_total=other.is_total)
        written = "" if known else "".join(self._texts)
        if written and self._are_texts is None and (self._other or self._earlier) and _stands_between(written):
            written = ""
        calls: list[Part] = []
        if not known and self._other is not None:
            written, calls = written or self._other.text, self._other.calls
        if written or calls:
            response = replace(response, output=(*([text_part(written)] if written else []), *calls))
        return replace(response, failure=self._failure or response.failure)

    def billing(self) -> Billing:
        """The fields of the chunks that change the price of the tokens."""
        return self._billing or read_billing(self._joined())

    def _add_bytes(self, piece: bytes) -> None:
        """Bytes as HTTP clients give them: a line without its end, or a piece that begins and ends anywhere."""
        chunks = self.chunks + 1
        self._rest.append(piece)
        if b"\n" in piece or piece.rstrip().endswith(b"}") or len(self._rest) == 1 or sum(map(len, self._rest)) > MAX_LINE:
            *lines, rest = b"".join(self._rest).split(b"\n")
            for line in lines:
                self._add_line(line)
            begun = rest.startswith((b"{", b"data")) or (rest and b"data".startswith(rest))
            self._rest = [] if not begun or len(rest) > MAX_LINE or self._add_line(rest) else [rest]
        self.chunks = chunks

    def _add_text(self, piece: str) -> None:
        """A piece of the model's text or, where they began as those of a body do, of that: it may be cut anywhere."""
        if self._are_texts is False:
            self.chunks -= 1  # it is counted there
            self._add_bytes(piece.encode(errors="replace"))
            return
        self._texts.append(piece)
        if self._are_texts is None and ("\n" in piece or len(self._texts) <= _FEW):
            self._tell_texts(ended=False)

    def _tell_texts(self, *, ended: bool) -> None:
        """Find out what the texts are; ``ended``: whether there may be no more, so that the last line is looked at, too."""
        begun = "".join(self._texts)
        is_body = _is_body(begun, ended=ended)
        if is_body is None and len(begun) <= MAX_LINE:
            return
        self._are_texts = not is_body
        if is_body:
            self._texts, chunks = [], self.chunks
            self._add_bytes(begun.encode(errors="replace"))
            self.chunks = chunks

    def _add_line(self, line: bytes) -> bool:
        """Add the event in a line; whether there is a whole one."""
        event = decoded(line.removeprefix(b"data:")) if line.rstrip().endswith(b"}") else None
        if isinstance(event, dict):
            self._add(unpacked(event))
        return isinstance(event, dict)

    def _is_another(self, joiner: anthropic.MessageJoiner | ResponseJoiner, begun: object) -> bool:
        """Whether what begins is another response than the one so far, which is kept then."""
        before, now = joiner.response_id, name_of(begun, "id")
        another = before is not None and now is not None and before != now
        if another:
            self._earlier.append(self._last())
        return another

    def _add(self, chunk: object) -> None:
        kind = text(chunk, "type") or ""
        if self._derived(kind):
            return
        self.chunks += 1
        if isinstance(chunk, str):
            self._add_text(str.__str__(chunk))
            return
        if self._are_texts is None and self._texts and all(map(_stands_between, self._texts)):
            self._texts, self._are_texts = [], False
        if kind in anthropic.EVENTS:
            begun = field(chunk, "message") if kind == "message_start" else None
            if self._message is None or self._is_another(self._message, begun):
                self._message = anthropic.MessageJoiner()
                self._growing.update(dict.fromkeys(anthropic.DERIVED, self))
                self._growing.update({"content_block_delta": self._message, None: None})
            self._message.add(chunk)
        elif kind.startswith("response."):
            # A realtime session may be followed by its ends alone; ids of one response differ where a proxy makes them.
            is_new = kind == "response.created" or (kind in ENDS and self._response is not None and self._response.has_ended)
            begun = field(chunk, "response") if is_new else None
            if self._response is None or self._is_another(self._response, begun):
                self._response = ResponseJoiner()
                self._growing.update(dict.fromkeys(GROWING, self._response))
            self._response.add(chunk)
        else:
            self._add_completion(field(chunk, "chunk") if kind == "chunk" else chunk)

    def _add_completion(self, chunk: object) -> None:
        if chat.is_completion(chunk) or (self._completion is not None and field(chunk, "usage") is not None):
            if self._completion is not None and self._completion.begins_another(chunk):
                self._earlier.append(self._last())
                self._completion = None
            self._completion = self._completion or chat.CompletionJoiner()
            self._completion.add(chunk)
            if self._message is None and not self._completion.is_whole:
                self._growing[None] = self._completion
            else:
                self._growing.pop(None, None)
            return
        if (answer := batched(chunk)) is not None and not any(has(chunk, name) for name in _OF_LINES):
            chunk = answer  # a proxy's way to send Gemini's chunks
        elif answer is not None:
            found, self._billing = read_response(chunk), read_billing(chunk)
            if found.response_id is None or found.response_id not in self._in_batch:
                self._earlier.append(found)
            self._in_batch.add(found.response_id)
            return
        self._failure = self._failure or failure_of(chunk)
        known = self._message or self._response or self._completion
        if known is None and self._other is not None and self._other.begins_another(chunk):
            self._earlier.append(self._last())
            self._other = None
        self._other = self._other or ChunkJoiner()
        self._other.add(chunk)

    def _derived(self, kind: str) -> bool:
        if self._message is not None:
            return kind in anthropic.DERIVED
        return self._completion is not None and kind.startswith(chat.DERIVED)

    def _joined(self) -> dict[str, Any] | None:
        if self._are_texts is None and self._texts:
            self._tell_texts(ended=True)
        if self._message is not None:
            return self._message.message()
        if self._response is not None:
            return self._response.api_response()
        if self._completion is not None:
            return self._completion.completion()
        return None if self._other is None else self._other.joined()


_OF_LINES = ("custom_id", "key", "error", "recordId", "request")
"""What the lines of a batch have: OpenAI's and Anthropic's, Gemini's, google-genai's, Bedrock's, Vertex AI's."""
_PACKING = frozenset({"data", "event", "chunk"})
"""Names of what `unpacked` looks into."""


def unpacked(chunk: object) -> object:
    """The chunk inside what carries it: a line of server-sent events or of JSON, Mistral's and claude-agent-sdk's event,
    Bedrock's bytes.
    """
    if isinstance(chunk, str):
        return _of_line(chunk)
    if chat.is_completion(inside := field(chunk, "data")):
        return inside
    if text(event := field(chunk, "event"), "type") in anthropic.EVENTS:
        return event
    packed = field(field(chunk, "chunk"), "bytes")
    return decoded(packed) if isinstance(packed, bytes) else chunk


_BETWEEN = ("event:", "id:", "retry:", ":")
"""How lines of server-sent events begin that have no data."""
_HEADS = (*_BETWEEN, "data:", "{")
"""How a line of such events, or of JSON, begins."""
_EVENTS = frozenset(
    {
        "messageStart",
        "contentBlockStart",
        "contentBlockDelta",
        "candidates",
        "usageMetadata",
        "event_type",
        "token",
        "results",
        "generated_text",
        "error",
        *BEDROCK,
    }
)
"""Names in events of providers with an API of their own."""


def _stands_between(piece: str) -> bool:
    """Whether a text is only what stands between the events of a body."""
    return all(not line or line.startswith(_BETWEEN) or line == "data: [DONE]" for line in map(str.strip, piece.split("\n")))


def _is_body(begun: str, *, ended: bool) -> bool | None:
    """Whether a stream of texts that begins so is a body that has events of a provider in it; ``None`` while it may be one.

    It is none with the first line that no body has, or with JSON that is of something else: a model may write that.
    """
    *lines, rest = begun.lstrip("\ufeff").split("\n")
    for line in map(str.strip, [*lines, rest] if ended else lines):
        if not line or line.startswith(_BETWEEN):
            continue
        event = decoded(line.removeprefix("data:")) if line.startswith(("data:", "{")) else None
        if isinstance(event, dict):
            return _is_event(event) if line.startswith("data:") else _is_line(event)
        if not line.startswith("data:"):
            return None if ended else False
    rest = rest.strip()
    return None if ended or rest.startswith(_HEADS) or any(head.startswith(rest) for head in _HEADS) else False


def _is_event(event: dict[str, Any]) -> bool:
    """Whether it is what a provider sends as data of an event."""
    kind = text(event, "type") or ""
    if batched(event) is not None:
        return True
    known = kind in anthropic.EVENTS or kind.startswith(("response.", "message-", "content-", "transcript.", "error"))
    return known or chat.is_completion(event) or _is_line(event) or not _EVENTS.isdisjoint(event) or usage_in(event).known() != {}


def _of_line(line: str) -> object:
    """The object in a line as HTTP clients give it; a piece of a model's text as it is."""
    head, colon, data = line.partition(":")
    if colon and head == "data" and isinstance(event := decoded(data), dict):
        return event
    if line.startswith("{") and isinstance(event := decoded(line), dict) and _is_line(event):
        return event
    return line


def _is_line(event: dict[str, Any]) -> bool:
    """Whether it is a line of Ollama's, or of a batch's results; a model may write JSON, too."""
    return ("model" in event and "done" in event) or ("custom_id" in event and batched(event) is not None)


def is_stream(value: object) -> bool:
    """Whether `wrap_stream` applies: an iterator, an async iterator, a client's stream or a manager of one.

    A response is none, although a pydantic model can be iterated over.
    """
    kind = type(value)
    if any(hasattr(kind, name) for name in ("__next__", "__anext__")):
        return True
    if kind.__name__.endswith("StreamManager"):
        return any(hasattr(kind, name) for name in ("__enter__", "__aenter__"))
    # botocore's EventStream, and older clients' streams, are iterables only.
    return kind.__name__.endswith("Stream") and any(hasattr(kind, name) for name in ("__iter__", "__aiter__"))


def wrap_stream(stream: Any, on_chunk: OnChunk, on_end: OnEnd) -> Any:
    """Return an object to use in place of ``stream``: the same attributes, class and behaviour, with two callbacks.

    Every chunk the user's code takes is given to ``on_chunk``, at the moment it is taken and in the same thread. What
    is read through a helper (``get_final_message()``, ``until_done()``, ``text_stream``) counts too.

    ``on_end`` is called once: with ``None`` at the end of the stream, with the error that ended it, or, where the user
    stopped earlier, with the error that left the ``with`` block or a `GeneratorExit`, on ``close()`` and when the stream
    is dropped. The last may happen inside any code, in any thread: ``on_end`` must not take a lock that is held while
    objects are made.

    Exceptions of the stream pass unchanged. An `Exception` of a callback is dropped; `KeyboardInterrupt` is not.
    """
    return _stand_in(stream, _Callbacks(on_chunk, on_end))


def watcher_of(stream: object) -> object:
    """Whose method is given the chunks of a stand-in; ``None`` of any other object."""
    if not issubclass(type(stream), _StandIn):
        return None
    return getattr(cast(_StandIn, stream)._callbacks.on_chunk, "__self__", None)


class _Callbacks:
    """The two callbacks. Ending is safe from any thread: the first end is the one reported, chunks after it are not.

    Every stand-in of the stream holds it, so it is finalized when the last of them is dropped.
    """

    def __init__(self, on_chunk: OnChunk, on_end: OnEnd) -> None:
        self.on_chunk = on_chunk
        self.open = [on_end]
        """What is called at the end, until then."""
        self.first: list[object] = []
        """The first chunk, to find out whether another iterator begins anew."""
        self.count = 0

    def seen(self, chunk: object) -> None:
        if not self.open:
            return
        if not self.first:
            self.first.append(chunk)
        self.count += 1
        # Recording must not raise into the loop over the stream; the callback counts its own failures.
        with suppress_errors(Exception):
            self.on_chunk(chunk)

    def ended(self, error: BaseException | None) -> None:
        try:
            on_end = self.open.pop()
        except IndexError:
            raise_interrupt()
            return
        self.first.clear()
        with suppress_errors(Exception):  # as in `seen`
            on_end(error)

    __del__ = in_c(ABANDONED.append)

    def abandoned(self) -> None:
        self.ended(GeneratorExit("abandoned"))


_FINISHING = frozenset({"get_final_message", "get_final_text", "get_final_response", "get_final_completion", "until_done"})
"""Methods of the clients' helpers that first read the stream to its end, not through a stand-in."""

_CLOSING = frozenset({"close", "aclose"})

_STEPPING = frozenset({"send", "throw", "asend", "athrow"})
"""Methods of generators that give the next item."""

_READING = frozenset(f"{way}iter_{what}" for way in ("", "a") for what in ("lines", "text", "bytes", "raw", "events"))
"""Methods of an HTTP client's response that give the parts of its body."""


class _StandIn(StandIn):
    """Of a stream, with the callbacks."""

    _callbacks: _Callbacks
    _position: int
    """How many chunks were taken from it."""
    _begins_anew: bool
    """Whether it is a further iterator over what was iterated over before."""

    @property
    def text_stream(self) -> Any:
        """Of the helpers of Anthropic, which have the text alone here."""
        found = self._original.text_stream
        if not hasattr(self._original, "get_final_message"):
            return found
        if hasattr(type(found), "__anext__"):
            return (piece async for event in cast(Any, self) if (piece := _text_of(event)) is not None)
        return (piece for event in cast(Any, self) if (piece := _text_of(event)) is not None)


def _stand_in(stream: Any, callbacks: _Callbacks) -> Any:
    if issubclass(type(stream), _StandIn) and stream._callbacks is callbacks:
        return stream
    return stand_in(_StandIn, stream, _callbacks=callbacks, _position=0, _begins_anew=False)


def _taken(self: _StandIn, chunk: Any) -> Any:
    """Note a chunk, unless it comes from an iterator that begins anew and was seen before."""
    state, callbacks = vars(self), self._callbacks
    if state["_position"] and not state["_begins_anew"] and callbacks.first and callbacks.open:  # nearly always
        state["_position"] += 1
        callbacks.count += 1
        try:
            callbacks.on_chunk(chunk)
        except Exception:  # noqa: BLE001 - as in `seen`
            raise_interrupt()
        return chunk
    if state["_position"] == 0 and callbacks.first and callbacks.first[0] is chunk:
        state["_begins_anew"] = True
    state["_position"] += 1
    if not state["_begins_anew"] or state["_position"] > callbacks.count:
        callbacks.seen(chunk)
    return chunk


def _step(self: _StandIn, step: Callable[..., Any], *args: Any) -> Any:
    """Take the next chunk by calling something."""
    try:
        chunk = step(*args)
    except StopIteration:
        self._callbacks.ended(None)
        raise
    except BaseException as error:
        self._callbacks.ended(error)
        raise
    return _taken(self, chunk)


async def _async_step(self: _StandIn, step: Callable[..., Any], *args: Any) -> Any:
    """Take the next chunk by awaiting what something returns."""
    try:
        chunk = await step(*args)
    except StopAsyncIteration:
        self._callbacks.ended(None)
        raise
    except BaseException as error:
        self._callbacks.ended(error)
        raise
    return _taken(self, chunk)


def _same_or_new(self: _StandIn, found: Any) -> Any:
    """What a method gave: the stand-in for the stream itself, another one for another stream, else what it is."""
    if found is self._original:
        return self
    reads = is_stream(found) or any(hasattr(type(found), name) for name in _READING)
    return _stand_in(found, self._callbacks) if reads else found


def _iter(self: _StandIn) -> Any:
    iterator = special_method(self._original, "__iter__")()
    return self if iterator is self._original else _stand_in(iterator, self._callbacks)


def _aiter(self: _StandIn) -> Any:
    iterator = special_method(self._original, "__aiter__")()
    return self if iterator is self._original else _stand_in(iterator, self._callbacks)


def _next(self: _StandIn) -> Any:
    try:
        chunk = next(self._original)  # which finds the method in the type, as iterating does
    except StopIteration:
        self._callbacks.ended(None)
        raise
    except BaseException as error:
        self._callbacks.ended(error)
        raise
    return _taken(self, chunk)


def _anext(self: _StandIn) -> Any:
    return _async_step(self, special_method(self._original, "__anext__"))


def _await(self: _StandIn) -> Any:
    try:
        found = yield from special_method(self._original, "__await__")()
    except BaseException as error:
        self._callbacks.ended(error)
        raise
    return _same_or_new(self, found)


def _enter(self: _StandIn) -> Any:
    enter = special_method(self._original, "__enter__")
    try:
        return _same_or_new(self, enter())
    except BaseException as error:
        self._callbacks.ended(error)
        raise


def _exit(self: _StandIn, kind: Any, error: BaseException | None, trace: Any) -> Any:
    try:
        return special_method(self._original, "__exit__")(kind, error, trace)
    finally:
        self._callbacks.ended(error or GeneratorExit("closed"))


async def _aenter(self: _StandIn) -> Any:
    enter = special_method(self._original, "__aenter__")
    try:
        return _same_or_new(self, await enter())
    except BaseException as error:
        self._callbacks.ended(error)
        raise


async def _aexit(self: _StandIn, kind: Any, error: BaseException | None, trace: Any) -> Any:
    try:
        return await special_method(self._original, "__aexit__")(kind, error, trace)
    finally:
        self._callbacks.ended(error or GeneratorExit("closed"))


_StandIn.special = {
    "__iter__": _iter,
    "__aiter__": _aiter,
    "__next__": _next,
    "__anext__": _anext,
    "__await__": _await,
    "__enter__": _enter,
    "__exit__": _exit,
    "__aenter__": _aenter,
    "__aexit__": _aexit,
}
"""The special methods that give chunks, or what gives them, or end the stream."""


def _close(self: _StandIn, close: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    try:
        closing = close(*args, **kwargs)
    except BaseException:
        self._callbacks.ended(GeneratorExit("closed"))
        raise
    if inspect.isawaitable(closing):
        return _closing(self, closing)
    self._callbacks.ended(GeneratorExit("closed"))
    return closing


async def _closing(self: _StandIn, closing: Awaitable[Any]) -> Any:
    try:
        return await closing
    finally:
        self._callbacks.ended(GeneratorExit("closed"))


def _advance(self: _StandIn, step: Callable[..., Any], *args: Any) -> Any:
    """``send()`` and its like, of a generator, an async generator or a coroutine."""
    kind = type(self._original)
    if hasattr(kind, "__anext__"):
        return _async_step(self, step, *args)
    if hasattr(kind, "__next__"):
        return _step(self, step, *args)
    try:
        return step(*args)
    except StopIteration as stop:
        raise StopIteration(_same_or_new(self, stop.value)) from None


def _finish(self: _StandIn, finish: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if kind_of(finish) == "coroutine":
        return _finish_async(self, finish, *args, **kwargs)
    for _ in cast(Any, self):
        pass
    return _same_or_new(self, finish(*args, **kwargs))


async def _finish_async(self: _StandIn, finish: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    async for _ in cast(Any, self):
        pass
    return _same_or_new(self, await finish(*args, **kwargs))


def _read(self: _StandIn, read: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return _same_or_new(self, read(*args, **kwargs))


_StandIn.methods = {
    **dict.fromkeys(_CLOSING, _close),
    **dict.fromkeys(_STEPPING, _advance),
    **dict.fromkeys(_FINISHING, _finish),
    **dict.fromkeys(_READING, _read),
}


def _text_of(event: object) -> str | None:
    """The text in an event of an Anthropic stream, as its ``text_stream`` gives it."""
    delta = field(event, "delta") if text(event, "type") == "content_block_delta" else None
    return text(delta, "text") if text(delta, "type") == "text_delta" else None
