"""Observes a model's stream while the user's code reads it: `wrap_stream` returns a proxy, `StreamReader` joins the chunks.

Works for the clients' raw event streams, for the helpers behind ``client.messages.stream()`` and ``client.responses.stream()``
with their managers, and for plain generators; sync and async.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

from otel_agentlog._interrupts import raise_interrupt, suppress_errors
from otel_agentlog.record.providers import anthropic
from otel_agentlog.record.providers import openai_chat as chat
from otel_agentlog.record.providers.failures import failure_of
from otel_agentlog.record.providers.fields import decoded, field, name_of, text
from otel_agentlog.record.providers.openai_responses import ResponseJoiner
from otel_agentlog.record.providers.others import ChunkJoiner
from otel_agentlog.record.providers.parts import text_part
from otel_agentlog.record.providers.pricing import Billing
from otel_agentlog.record.providers.read import read_billing, read_response
from otel_agentlog.vocabulary.usage import Failure, Response, Usage

OnChunk: TypeAlias = Callable[[Any], None]
OnEnd: TypeAlias = Callable[[BaseException | None], None]


MAX_LINE = 4_000_000
"""Longest line of a stream of bytes that is waited for, in bytes; a longer one is left out."""


class StreamReader:
    """Joins the chunks of one stream. Not safe for several threads at once; `response` may be called at any time."""

    def __init__(self) -> None:
        self.chunks = 0
        """Chunks added so far, without the events that a client's helper derives from others."""
        self._texts: list[str] = []
        self._message: anthropic.MessageJoiner | None = None
        self._completion: chat.CompletionJoiner | None = None
        self._response: ResponseJoiner | None = None
        self._other: ChunkJoiner | None = None
        self._failure: Failure | None = None
        self._earlier: list[Response] = []
        """The whole responses of a stream that has several, such as that of an agent's run."""
        self._rest: list[bytes] = []
        """The beginning of a line whose end was not read yet, in pieces."""

    def add(self, chunk: object) -> None:
        """Add one chunk: an event or chunk of Anthropic or OpenAI, typed or as ``dict``, or a piece of text.

        Anything else is only counted. Never raises.
        """
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
        responses = [*self._earlier, response]
        return replace(
            response,
            usage=sum((one.usage for one in responses), Usage()),
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
        written = "" if known else "".join(self._texts) or ("" if self._other is None else self._other.text)
        if written:
            response = replace(response, output=(text_part(written),))
        return replace(response, failure=self._failure or response.failure)

    def billing(self) -> Billing:
        """The fields of the chunks that change the price of the tokens."""
        return read_billing(self._joined())

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
            self._texts.append(str.__str__(chunk))
        elif kind in anthropic.EVENTS:
            begun = field(chunk, "message") if kind == "message_start" else None
            if self._message is None or self._is_another(self._message, begun):
                self._message = anthropic.MessageJoiner()
            self._message.add(chunk)
        elif kind.startswith("response."):
            begun = field(chunk, "response") if kind == "response.created" else None
            if self._response is None or self._is_another(self._response, begun):
                self._response = ResponseJoiner()
            self._response.add(chunk)
        else:
            self._add_completion(field(chunk, "chunk") if kind == "chunk" else chunk)

    def _add_completion(self, chunk: object) -> None:
        if chat.is_completion(chunk) or (self._completion is not None and field(chunk, "usage") is not None):
            self._completion = self._completion or chat.CompletionJoiner()
            self._completion.add(chunk)
            return
        self._failure = self._failure or failure_of(chunk)
        self._other = self._other or ChunkJoiner()
        self._other.add(chunk)

    def _derived(self, kind: str) -> bool:
        if self._message is not None:
            return kind in anthropic.DERIVED
        return self._completion is not None and kind.startswith(chat.DERIVED)

    def _joined(self) -> dict[str, Any] | None:
        if self._message is not None:
            return self._message.message()
        if self._response is not None:
            return self._response.api_response()
        if self._completion is not None:
            return self._completion.completion()
        return None if self._other is None else self._other.joined()


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


def _of_line(line: str) -> object:
    """The object in a line as HTTP clients give it; a piece of a model's text as it is."""
    head, colon, data = line.partition(":")
    if colon and head == "data" and isinstance(event := decoded(data), dict):
        return event
    if line.startswith("{") and isinstance(event := decoded(line), dict) and "model" in event and "done" in event:
        return event  # Ollama
    return line


def is_stream(value: object) -> bool:
    """Whether `wrap_stream` applies: an iterator, an async iterator, or a client's manager of one.

    A response is none, although a pydantic model can be iterated over.
    """
    kind = type(value)
    if any(hasattr(kind, name) for name in ("__next__", "__anext__")):
        return True
    return kind.__name__.endswith("StreamManager") and any(hasattr(kind, name) for name in ("__enter__", "__aenter__"))


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
    callbacks = _Callbacks(on_chunk, on_end)
    kind = type(stream)
    is_async = hasattr(kind, "__anext__") or hasattr(kind, "__aiter__") or hasattr(kind, "__aenter__")
    return _AsyncProxy(stream, callbacks) if is_async and not hasattr(kind, "__next__") else _SyncProxy(stream, callbacks)


class _Callbacks:
    """The two callbacks. Ending is safe from any thread: the first end is the one reported.

    Every proxy of the stream holds it, so it is finalized when the last of them is dropped.
    """

    def __init__(self, on_chunk: OnChunk, on_end: OnEnd) -> None:
        self._on_chunk = on_chunk
        self._on_end = [on_end]

    def seen(self, chunk: object) -> None:
        # Recording must not raise into the loop over the stream; the callback counts its own failures.
        with suppress_errors(Exception):
            self._on_chunk(chunk)

    def ended(self, error: BaseException | None) -> None:
        try:
            on_end = self._on_end.pop()
        except IndexError:
            raise_interrupt()
            return
        with suppress_errors(Exception):  # as in `seen`
            on_end(error)

    def __del__(self) -> None:
        self.ended(GeneratorExit("abandoned"))


_FINISHING = frozenset({"get_final_message", "get_final_text", "get_final_response", "get_final_completion", "until_done"})
"""Methods of the clients' helpers that first read the stream to its end, not through a proxy."""

_CLOSING = frozenset({"close", "aclose"})


class _Proxy:
    """Has the class, attributes, ``dir()`` and ``repr()`` of the stream it wraps."""

    def __init__(self, stream: Any, callbacks: _Callbacks) -> None:
        vars(self).update(_stream=stream, _callbacks=callbacks, _iterator=None)

    @property  # type: ignore[misc]  # isinstance() as for the stream, like a weak proxy
    def __class__(self) -> type:
        return type(self._stream)

    def __getattr__(self, name: str) -> Any:
        if name in ("_stream", "_callbacks", "_iterator"):
            raise AttributeError(name)
        found = getattr(self._stream, name)
        if name == "text_stream" and hasattr(self._stream, "get_final_message"):
            return self._text_stream()
        if name in _CLOSING and callable(found):
            return partial(self._close, found)
        if name in _FINISHING and callable(found):
            return partial(self._finish, found)
        return found

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._stream, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._stream, name)

    def __dir__(self) -> list[str]:
        return dir(self._stream)

    def __repr__(self) -> str:
        return repr(self._stream)


class _SyncProxy(_Proxy):
    def __iter__(self) -> _SyncProxy:
        return self

    def __next__(self) -> Any:
        try:
            if self._iterator is None:
                vars(self)["_iterator"] = iter(self._stream)
            chunk = next(self._iterator)
        except StopIteration:
            self._callbacks.ended(None)
            raise
        except BaseException as error:
            self._callbacks.ended(error)
            raise
        self._callbacks.seen(chunk)
        return chunk

    def __enter__(self) -> Any:
        enter = self._stream.__enter__
        try:
            entered = enter()
        except BaseException as error:
            self._callbacks.ended(error)
            raise
        if entered is self._stream:
            return self
        return _SyncProxy(entered, self._callbacks) if is_stream(entered) else entered

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> Any:
        try:
            return self._stream.__exit__(kind, error, trace)
        finally:
            self._callbacks.ended(error or GeneratorExit("closed"))

    def _close(self, close: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return close(*args, **kwargs)
        finally:
            self._callbacks.ended(GeneratorExit("closed"))

    def _finish(self, finish: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        for _ in self:
            pass
        result = finish(*args, **kwargs)
        return self if result is self._stream else result

    def _text_stream(self) -> Iterator[str]:
        return (piece for event in self if (piece := _text_of(event)) is not None)


class _AsyncProxy(_Proxy):
    def __aiter__(self) -> _AsyncProxy:
        return self

    async def __anext__(self) -> Any:
        try:
            if self._iterator is None:
                vars(self)["_iterator"] = self._stream.__aiter__()
            chunk = await self._iterator.__anext__()
        except StopAsyncIteration:
            self._callbacks.ended(None)
            raise
        except BaseException as error:
            self._callbacks.ended(error)
            raise
        self._callbacks.seen(chunk)
        return chunk

    async def __aenter__(self) -> Any:
        enter = self._stream.__aenter__
        try:
            entered = await enter()
        except BaseException as error:
            self._callbacks.ended(error)
            raise
        if entered is self._stream:
            return self
        return _AsyncProxy(entered, self._callbacks) if is_stream(entered) else entered

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> Any:
        try:
            return await self._stream.__aexit__(kind, error, trace)
        finally:
            self._callbacks.ended(error or GeneratorExit("closed"))

    async def _close(self, close: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return await close(*args, **kwargs)
        finally:
            self._callbacks.ended(GeneratorExit("closed"))

    async def _finish(self, finish: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        async for _ in self:
            pass
        result = await finish(*args, **kwargs)
        return self if result is self._stream else result

    def _text_stream(self) -> AsyncIterator[str]:
        return (piece async for event in self if (piece := _text_of(event)) is not None)


def _text_of(event: object) -> str | None:
    """The text in an event of an Anthropic stream, as its ``text_stream`` gives it."""
    delta = field(event, "delta") if text(event, "type") == "content_block_delta" else None
    return text(delta, "text") if text(delta, "type") == "text_delta" else None
