"""AI calls: one request to a model, streaming or not, with all its attempts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, TypeVar

from opentelemetry.context import Context

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.record.exceptions.describe import answer_taken, answers_of, with_attributes_of
from otel_agentlog.record.operations.attempts import Attempted
from otel_agentlog.record.operations.context import OPERATION, OperationScope, current_context, seen_around
from otel_agentlog.record.operations.outcome import describe, is_error
from otel_agentlog.record.operations.seen_calls import OWN, Added, Call, Seen, add_rest
from otel_agentlog.record.providers.failures import ModelError
from otel_agentlog.record.providers.fields import as_amount, as_count
from otel_agentlog.record.providers.messages import input_messages, system_instructions, tool_definitions
from otel_agentlog.record.providers.pricing import NO_BILLING, Billing
from otel_agentlog.record.providers.read import read_answer
from otel_agentlog.record.providers.stream import StreamReader, is_stream, watcher_of, wrap_stream
from otel_agentlog.record.providers.usage import checked, larger
from otel_agentlog.record.sanitize.keys import is_true, optional_text, plain_text
from otel_agentlog.vocabulary.actions import AI_CALL, STEP
from otel_agentlog.vocabulary.envelope import Envelope
from otel_agentlog.vocabulary.lines import INSIDE_CALL, SAME_CALL_AS
from otel_agentlog.vocabulary.states import Outcome, State
from otel_agentlog.vocabulary.usage import NO_USAGE, USAGE_FIELDS, Cost, Failure, Response, Usage

Number = TypeVar("Number", int, float)
Result = TypeVar("Result")

MAX_INTERVALS = 10_000
"""Chunk intervals kept for the metric; a longer stream is measured by its first ones."""


class AiCall(Attempted):
    """One request to a model. Give it what came back with `record`, `stream` or `usage`."""

    kind = AI_CALL
    # What most of them never set is of the class, as for `OperationScope`.
    documents: Any = None
    """What a retrieval gave: a list of objects such as ``{"id": …, "score": …}``."""
    records: Any = None
    """What a memory operation found or wrote: a list of objects such as ``{"content": …, "id": …}``."""
    _response: Response | None = None
    _given_by_hand: Response | None = None
    """What was last given by hand."""
    _cost: Cost | None = None
    _billed_before = 0
    """How many responses that were paid for belong to attempts before the one under way."""
    _by_hand: _Reading | None = None
    """What the chunks that are given one by one are of."""
    _further_of: AiCall | None = None
    """The call that this is a further view of."""
    _same_as: Added | None = None
    """The request that this turned out to be, where another view of it counts."""
    _watches = False
    """Whether a stream was wrapped: what a decorated generator then yields was seen already."""
    is_reported = False
    """Whether a framework's processor reports it, in which a call of the user's own may lie."""
    _late = False
    """Whether its block was left before its streams were read."""
    _chunks = 0
    _stream_reason: str | None = None
    _first_chunk_ns: int | None = None

    def __init__(
        self,
        model: str,
        *,
        provider: str | None = None,
        operation: str = "chat",
        messages: Any = None,
        system: Any = None,
        tools: Any = None,
        query: Any = None,
        stream: bool = False,
        conversation_id: str | None = None,
        server_address: str | None = None,
        server_port: int | None = None,
        attributes: Mapping[str, Any] | None = None,
        component: str | None = None,
        **parameters: Any,
    ) -> None:
        super().__init__(model, attributes=attributes, component=component)
        self.model, self.provider, self.operation = model, provider, operation
        self._messages, self._system, self._tools, self._query = messages, system, tools, query
        self._given_stream = stream if type(stream) is bool else is_true(stream)
        self._conversation_id = None if conversation_id is None else optional_text(conversation_id)
        self._server = {"server_address": server_address, "server_port": server_port}
        self._parameters = parameters
        self._spec: dict[str, Any] = {"attributes": attributes, "component": component}
        self._billed: list[tuple[Response, Billing]] = []
        """Every response that was paid for, those of failed attempts too."""
        self._unended: list[_Reading] = []
        """The streams that are being read, or still to be."""
        self._readings: list[_Reading] = []
        """Those of the attempt under way of which something was read, each with its own reader."""
        self._intervals_ms: list[float] = []

    def _copy(self) -> AiCall:
        return AiCall(
            self.model,
            provider=self.provider,
            operation=self.operation,
            messages=self._messages,
            system=self._system,
            tools=self._tools,
            query=self._query,
            stream=self._given_stream,
            conversation_id=self._conversation_id,
            **self._server,  # type: ignore[arg-type]  # two keys of two types
            **self._spec,
            **self._parameters,
        )

    # -- public ---------------------------------------------------------------------------------------------------------

    def record(self, response: Any) -> None:
        """Take tokens, finish reasons, ids, model and text from a response of any provider, as an object, a dict or JSON.

        Called more than once, the tokens add up and the last response gives the rest. A response with the id of an earlier one
        of the same attempt is that one again, and the result of an agent's run contains those of its messages. An error inside
        the response makes the call fail. What is recorded after the call's end is a further view of it: it adds what is new.
        """
        try:
            call = self if self._tokens else self._further_view()
            call._take(*read_answer(response, self.provider))
            if call is not self:
                self._end_view(call)
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            self._recorder.failed("record", error)

    def stream(self, stream: Any) -> Any:
        """Wrap a client's stream: use the returned object in its place, everything it yields is recorded.

        A stream that is first read after the ``with`` block, or by the caller of a decorated function, keeps the call open until
        it ends, is closed or is dropped.
        """
        watcher = watcher_of(stream)
        if isinstance(watcher, _Reading) and watcher.call is self:
            return stream
        self._given_stream = self._watches = True
        reading = _Reading(self)
        self._unended.append(reading)
        return wrap_stream(stream, reading.chunk, reading.ended)

    def chunk(self, chunk: Any) -> None:
        """Take one chunk of a stream; chunks are joined before they are redacted and recorded."""
        if self._by_hand is None:
            self._by_hand = _Reading(self)
        self._add_chunk(chunk, self._by_hand)

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cache_read_input_tokens: int | None = None,
        cache_write_input_tokens: int | None = None,
        reasoning_output_tokens: int | None = None,
        cost_usd: float | None = None,
        finish_reasons: list[str] | None = None,
    ) -> None:
        """Give the tokens by hand. ``input_tokens`` contains the cached ones, ``output_tokens`` the reasoning ones.

        They add to those of earlier calls and of responses. What is no count, such as a negative number, a fraction or text, is
        not known: a warning says so once.
        """
        try:
            given = (input_tokens, output_tokens, cache_read_input_tokens, cache_write_input_tokens, reasoning_output_tokens)
            counts: list[int | None] = []
            for name, value in zip(USAGE_FIELDS, given, strict=True):
                counts.append(None if value is None else _number_given(name, value, as_count))
            call = self if self._tokens else self._further_view()
            call._take_usage(checked(Usage(*counts)), () if finish_reasons is None else _reasons_given(finish_reasons))
            if call is not self:
                call.cost(cost_usd)
                self._end_view(call)
                return
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            self._recorder.failed("record", error)
        if cost_usd is not None:
            self.cost(cost_usd)

    def asked(self, *, model: str | None = None, messages: Any = None, system: Any = None, tools: Any = None) -> None:
        """Tell of the request what was not known when the call began; it is on the end line."""
        if model is not None:
            self.model = self.name = model if type(model) is str else plain_text(model)
            self.span.update_name(f"{plain_text(self.operation)} {self.model}")
        given = {"_messages": messages, "_system": system, "_tools": tools}
        vars(self).update({name: value for name, value in given.items() if value is not None})
        self._request_late = True

    _request_late = False

    def cost(self, amount_usd: float | None) -> None:
        """Give the cost by hand, in US dollars; it replaces that of the price table.

        ``None`` means that it is not known and changes nothing, like what is no amount, of which a warning tells once.
        """
        try:
            if (amount := _number_given("cost_usd", amount_usd, as_amount)) is None:
                return
            call = self if self._tokens else self._further_view()
            call._cost = Cost(amount, "user")
            if call is not self:
                self._end_view(call)
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            self._recorder.failed("record", error)

    @property
    def tokens(self) -> dict[str, int]:
        """What is known so far of its tokens, by the names that `usage` has for them."""
        return _usage_of(self._so_far()).known()

    @property
    def cost_usd(self) -> float | None:
        """What it cost so far, in US dollars; ``None`` where that is not known."""
        cost = self._found_cost(self._so_far())
        return None if cost is None else cost.amount_usd

    def attempt_failed(self, error: BaseException | None = None, *, response: Any = None, **how: Any) -> None:
        """Record a failed attempt. Tokens of its ``response``, and of what was recorded or streamed in it, count."""
        try:
            how = {**self._spent(error, response, how), **how}
        except Exception as problem:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            self._recorder.failed("record", problem)
        super().attempt_failed(error, **how)

    # -- inside -----------------------------------------------------------------------------------------------------------

    def _add_chunk(self, chunk: Any, reading: _Reading) -> None:
        """Take a chunk of one of its streams."""
        try:
            now = self._recorder.monotonic()
            if len(self._unended) > (reading is not self._by_hand) and _passed_on(chunk, reading, self._unended):
                return
            if (reader := reading.reader) is None:
                reader = reading.reader = StreamReader()
                if not self._readings:
                    self._first_chunk_ns = now
                self._readings.append(reading)
            elif len(self._intervals_ms) < MAX_INTERVALS:
                self._intervals_ms.append((now - reading.last_ns) / 1e6)
            reading.last_ns, reading.last = now, chunk
            self._given_stream = True
            reader.add(chunk)
        except Exception as error:  # noqa: BLE001 - recording never raises into the user's code
            raise_interrupt()
            self._recorder.failed("record", error)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if error is not None or not self._unended or not self._waits_for_streams():
            super().__exit__(kind, error, tb)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.__exit__(kind, error, tb)

    def _waits_for_streams(self) -> bool:
        """Stay open, without being current, for streams of which nothing was read in the block."""
        if not self._unended or self.ended or all(reading.begun for reading in self._unended):
            return False
        self.suspended(in_turns=False)
        self._late = True
        return True

    def pass_on(self, result: Any) -> Any:
        return self.stream(result) if self._guarded(lambda: is_stream(result)) else super().pass_on(result)

    def returned(self, result: Any) -> None:
        gives = _GIVES.get(self.operation) if type(self.operation) is str else None
        if gives is not None:
            if getattr(self, gives) is None:
                setattr(self, gives, result)
        elif self._response is None and not self._readings and result is not None:
            self.record(result)

    def yielded(self, item: Any) -> None:
        if not self._watches:
            self.chunk(item)

    def _so_far(self) -> list[tuple[Response, Billing]]:
        """What was paid for, with what its streams that are being read have told by now."""
        if not self._readings:
            return self._billed
        billed = [*self._billed]
        for _, response, billing in self._guarded(lambda: _answers([*self._readings])) or ():
            _bill(billed, self._billed_before, response, billing)
        return billed

    def _finish(self, outcome: Outcome | None, error: BaseException | None, reason: str | None) -> bool:
        if error is not None and self._tokens:
            self._guarded(lambda: self._take_brought(error))
        if outcome is None and error is None and (self._readings or self._response is not None):
            try:
                if self._readings:
                    self._take_streams()
                if (said := self._response) is not None and (said.failure is not None or said.cancelled):
                    outcome, reason = _judged(said, reason)
            except Exception as problem:  # noqa: BLE001 - recording never raises into the user's code
                raise_interrupt()
                self._recorder.failed("record", problem)
        return super()._finish(outcome, error, reason)

    def _spent(self, error: BaseException | None, response: Any, how: Mapping[str, Any]) -> dict[str, Any]:
        """The tokens of the attempt that failed; if another one follows, what came of this one is not the call's answer."""
        said: dict[str, Any] = {}
        brought = self._brought_by(error)
        if response is None:
            for answer in brought:
                _bill(self._billed, self._billed_before, *answer)
        else:
            read, billing = read_answer(response, self.provider)
            _bill(self._billed, self._billed_before, read, billing)
            if error is None and read.failure is not None:
                said["reason"] = str(ModelError(read.failure))
        maximum = how.get("maximum")
        if maximum is None or how.get("number", self.attempts) < maximum:
            self._response = None
            for read_by in self._begun():
                # What comes of it yet is of the next attempt.
                reader, read_by.reader = read_by.reader, None
                if reader is not None:
                    _bill(self._billed, self._billed_before, reader.response(), reader.billing())
        spent, self._billed_before = self._billed[self._billed_before :], len(self._billed)
        return {**said, **sum((one.usage for one, _ in spent), Usage()).known()}

    def _take_brought(self, error: BaseException) -> None:
        for answer in self._brought_by(error):
            self._take(*answer)

    def _brought_by(self, error: object) -> list[tuple[Response, Billing]]:
        """Answers that were paid for and that an error has, or what it was raised from, as openai.LengthFinishReasonError has it.

        One without an id may be what was recorded before. Whoever records the error first takes them.
        """
        found: list[tuple[Response, Billing]] = []
        others = bool(self._readings) or len(self._billed) > self._billed_before
        for each, held in answers_of(error):
            read = with_attributes_of(each, lambda _, held=held: [read_answer(one, self.provider) for one in held])  # type: ignore[misc]
            paid = [answer for answer in read if answer[0].usage.known() or answer[0].cost_usd is not None]
            if paid:
                answer_taken(each)
                found += [answer for answer in paid[:1] if answer[0].response_id is not None or answer[0].is_total or not others]
        return found

    def _take_usage(self, usage: Usage, finish_reasons: tuple[str, ...]) -> None:
        """Tokens given one after the other, each kind once, are those of one response, and priced as such."""
        before = self._response or Response()
        given = replace(before, usage=usage, finish_reasons=finish_reasons, response_id=None, output=(), cost_usd=None)
        last = self._billed[-1][0] if len(self._billed) > self._billed_before else None
        if last is not None and last is self._given_by_hand and not last.usage.known().keys() & usage.known().keys():
            given = replace(given, usage=last.usage + usage)
            self._billed.pop()
        self._given_by_hand = given
        self._take(given)

    def _take(self, response: Response, billing: Billing = NO_BILLING) -> None:
        _bill(self._billed, self._billed_before, response, billing)
        before = self._response
        if before is not None:
            # The answer of a stream, given once more as a whole; an agent's message comes in pieces that have one id.
            again = response.response_id == before.response_id and response.output[: len(before.output)] == before.output
            response = replace(
                response,
                finish_reasons=response.finish_reasons or before.finish_reasons,
                response_id=response.response_id or before.response_id,
                model=response.model or before.model,
                output=response.output if again else before.output + response.output,
                cost_usd=_plus(before.cost_usd, response.cost_usd),
            )
        self._response = response

    def continued(self, reading: _Reading) -> AiCall:
        """A further view of this call, which has ended, for what is read of a stream of it now."""
        late = self._view()
        late._late = True
        late._unended.append(reading)
        late._begin_view(self)
        return late

    def _further_view(self) -> AiCall:
        """A further view of this call, which has ended, for what is recorded of it now; itself where that would not count."""
        if self.seen is None or self.seen.call is None:
            return self
        late = self._view()
        late._billed, late._cost = [*self._billed], self._cost
        late._begin_view(self)
        return late

    def _end_view(self, late: AiCall) -> None:
        late._finish(None, None, _AFTER_ITS_END)
        self._billed, self._cost = late._billed, late._cost

    def _view(self) -> AiCall:
        late = self._copy()
        late._messages = late._system = late._tools = None  # they are on the line of this one
        late._further_of = self
        return late

    def _begin_view(self, of: AiCall) -> None:
        self._move(State.RUNNING, allowed_from=State.PENDING)
        self._begin(of.outer, current_context())

    def stream_ended(self, reading: _Reading, error: BaseException | None) -> None:
        """Called once for each stream. May run inside the garbage collector, in any thread."""
        given_up = isinstance(error, GeneratorExit)
        if given_up:
            self._stream_reason = f"stream {error}" if error is not None and error.args else "stream abandoned"
        if reading in self._unended:
            self._unended.remove(reading)
        if self._late and not self._unended:
            if (before := self._further_of) is not None:
                # All that was paid for, the rest of this stream too; of other streams, what is known by now.
                self._billed = [billed for billed in before._billed if billed[0] is not reading.taken]
            self._finish(None, None if given_up else error, None)
            if before is not None:
                before._billed = self._billed

    def _begun(self) -> list[_Reading]:
        """The streams of which something was read, which are no longer kept then."""
        readings = [*self._readings]
        del self._readings[: len(readings)]
        return readings

    def _take_streams(self) -> None:
        readings = self._begun()
        for reading, response, billing in _answers(readings):
            self._take(response, billing)
            reading.taken = response
        chunks = sum(reading.reader.chunks for reading in readings if reading.reader is not None)
        self._chunks += chunks

    def _settle(self, context: Context, around: OperationScope | None) -> Context:
        if not self._recorder.lookups.loading:
            self._recorder.lookups.load_prices()
        if around is not None and (task := around.task) is not None:
            nothing = (task.seen is None or not task.seen.spans) and _only_steps_around(around)
            views = None if nothing else seen_around(context, self.start_ns)
            # Users may give any object for either.
            embeds = type(self.operation) is str and self.operation == "embeddings"
            purpose = embeds, self.model if type(self.model) is str else None
            self.seen = Seen("", OWN, self.start_ns, views, is_ai_call=True, purpose=purpose)
            self._agent = task.header.get("assigned_agent")
        if around is not None:
            self.task, self.step_id = around.task, around.step_id
        return context

    _agent: Any = None

    def _started(self, envelope: Envelope) -> None:
        if self.seen is not None:
            self.seen.span_id = self.span_id if self.own_ids is None else self.own_ids["span_id"]

    def _common_details(self) -> dict[str, Any]:
        details: dict[str, Any] = {}
        if (provider := self.provider) is not None:
            details["provider"] = provider if type(provider) is str else plain_text(provider)
        if (model := self.model) is not None:
            details["model"] = model if type(model) is str else plain_text(model)
        if (operation := self.operation) is not None:
            details["operation"] = operation if type(operation) is str else plain_text(operation)
        if (agent := self._agent) is not None:
            details["agent"] = agent if type(agent) is str else plain_text(agent)
        for key, value in self._server.items():
            if value is not None:
                details[key] = value
        return details

    def _start_fields(self) -> dict[str, Any]:
        details = self._common_details()
        try:
            if self._messages is not None:
                details["messages"] = input_messages(self._messages)
            if self._system is not None:
                details["system"] = system_instructions(self._system)
            if self._tools is not None:
                details["tools"] = tool_definitions(self._tools)
            if self._query is not None:
                details["query"] = self._query
        except Exception as error:  # noqa: BLE001 - what was given by the user, or by a library, cannot be read
            raise_interrupt()
            self._recorder.failed("field", error)
        if self._given_stream:
            details["stream"] = True
        if self._conversation_id is not None:
            details["conversation_id"] = self._conversation_id
        if self._parameters:
            details["parameters"] = self._parameters
        if self.seen is not None and self.seen.around is not None and (inside := self.seen.inside_call()) is not None:
            details[INSIDE_CALL] = inside
        return {"details": details}

    def _late_request(self) -> dict[str, Any]:
        request = self._start_fields()["details"]
        return {key: request[key] for key in ("messages", "system", "tools") if key in request}

    def _end_fields(self, outcome: Outcome) -> dict[str, Any]:
        if self._readings or (self.seen is not None and self.seen.calls):
            self._guarded(self._take_all)
        response = self._response or _EMPTY
        details: dict[str, Any] = self._common_details() | (self._late_request() if self._request_late else {})
        self._add_counted(details, outcome)
        if response.finish_reasons:
            details["finish_reasons"] = list(response.finish_reasons)
        if response.response_id:
            details["response_id"] = response.response_id
        if response.model:
            details["response_model"] = response.model
        if self._given_stream or self._first_chunk_ns is not None:
            details.update(self._stream_details())
        if self._conversation_id is not None:
            details["conversation_id"] = self._conversation_id
        details["attempts"] = self.attempts
        if response.output:
            details["output"] = list(response.output)
        fields: dict[str, Any] = {"details": details}
        if response.failure is not None and outcome is Outcome.FAILED and self._error is None:
            fields["exception"] = self._failed_in_band(response.failure)
        if (self._late or self._stream_reason is not None) and outcome is Outcome.COMPLETED:
            fields["reason"] = self._stream_reason or "stream read after the block"
        return fields

    def _add_found(self, details: dict[str, Any]) -> None:
        for key, found in (("documents", self.documents), ("records", self.records)):
            if found is not None:
                details[key] = found
        if type(self.records) in (list, tuple):
            details["record_count"] = len(self.records)

    def _stream_details(self) -> dict[str, Any]:
        details: dict[str, Any] = {"stream": True} if self._given_stream else {}
        if self._first_chunk_ns is not None:
            details["time_to_first_chunk_ms"] = round((self._first_chunk_ns - self._monotonic_start) / 1e6, 3)
            details["chunks"] = self._chunks
        if self._intervals_ms:
            self._payload = {"chunk_intervals_ms": self._intervals_ms}
        return details

    def _guarded(self, read: Callable[[], Result]) -> Result | None:
        """What a function returns; ``None`` where what was given by the user, or by a library, cannot be read."""
        try:
            return read()
        except Exception as error:  # noqa: BLE001 - as above
            raise_interrupt()
            self._recorder.failed("field", error)
            return None

    def _take_all(self) -> None:
        self._take_streams()
        if _usage_of(self._billed) == NO_USAGE and self.seen is not None:
            for call in self.seen.calls:
                if call.lent_to is not None:
                    self._take(call.response)

    def _add_counted(self, details: dict[str, Any], outcome: Outcome) -> None:
        """Add what was found, tokens and cost: where another view of the same request counts, what that one has not of them."""
        if self.documents is not None or self.records is not None:
            self._add_found(details)
        usage = _usage_of(self._billed)
        try:
            details.update(self._counted(usage, self._found_cost(self._billed), outcome))
        except Exception as error:  # noqa: BLE001 - as above
            raise_interrupt()
            self._recorder.failed("field", error)
            details.update(usage.known(), cost_usd=None)

    def _counted(self, usage: Usage, cost: Cost | None, outcome: Outcome) -> dict[str, Any]:
        details: dict[str, Any] = {}
        self._same_as = self._count(usage, cost, outcome)
        if (added := self._same_as) is not None:
            usage, details[SAME_CALL_AS] = added.usage, added.other.span_id
            cost = None if cost is None or added.cost_usd is None else replace(cost, amount_usd=added.cost_usd)
        elif self.seen is not None and self.seen.around is not None and (inside := self.seen.inside_call()) is not None:
            details[INSIDE_CALL] = inside
        details.update(usage.known())
        details["cost_usd"] = None
        if cost is not None:
            # What is below ten decimals is the noise of binary fractions.
            details["cost_usd"] = round(cost.amount_usd, 10)
            price = details["price"] = {"source": cost.source}
            if cost.version:
                price["version"] = cost.version
        return details

    def _count(self, usage: Usage, cost: Cost | None, outcome: Outcome) -> Added | None:
        if self.seen is None or self.task is None:
            return None
        self.seen.end_ns = self._recorder.clock()
        response_id = self._response.response_id if self._response is not None else None
        report = Call(
            self.seen.span_id,
            self.start_ns,
            self.seen.end_ns,
            {OWN},
            Response(usage),  # without the output, as it is remembered
            None if cost is None else cost.amount_usd,
            frozenset([response_id] if response_id else ()),
            failed=is_error(outcome),
            is_run=bool(self._billed) and self._billed[-1][0].is_total,
            is_reported=self.is_reported,
            purpose=self.seen.purpose,
        )
        before = self._further_of.seen.call if self._further_of is not None and self._further_of.seen is not None else None
        return (self.task.seen or self.task.seen_calls()).count(self.seen, report) if before is None else add_rest(before, report)

    def _failed_in_band(self, failure: Failure) -> dict[str, Any]:
        described = describe(ModelError(failure), self.trace_id, self._recorder)
        kind = failure.code or ModelError.__name__
        # Nothing was raised: of a traceback there is only the last line.
        return {**described, "type": kind, "message": failure.message, "traceback": [f"{kind}: {failure.message}"]}

    def _found_cost(self, billed: list[tuple[Response, Billing]]) -> Cost | None:
        """What everything that was paid for cost; ``None`` if that is not known, or cannot be found out."""
        if self._cost is not None:
            return self._cost
        known: list[Cost] = []
        try:
            for one, billing in billed:
                if (cost := self._cost_of(one, billing)) is not None:
                    known.append(cost)
                elif any(one.usage):
                    return None  # the others alone are less than it cost
            if len(known) > 1:
                return replace(known[-1], amount_usd=sum(cost.amount_usd for cost in known))
            return known[0] if known else None
        except Exception as error:  # noqa: BLE001 - as above
            raise_interrupt()
            self._recorder.failed("field", error)
            return None

    def _cost_of(self, response: Response, billing: Billing) -> Cost | None:
        if response.cost_usd is not None:
            return Cost(response.cost_usd, "provider")
        prices = self._recorder.lookups.prices
        if prices is None or response.usage == NO_USAGE:
            return None
        return prices.cost(self.provider, response.model, response.usage, None, billing, requested=self.model)

    @property
    def _response_id(self) -> str | None:
        return None if self._response is None else self._response.response_id

    def _finished(self, outcome: Outcome) -> None:
        if self.task is not None and self._same_as is None:
            self.task.ai_calls += 1


_EMPTY = Response()
_GIVES = {
    "retrieval": "documents",
    **dict.fromkeys(("search_memory", "create_memory", "update_memory", "upsert_memory", "delete_memory"), "records"),
}
"""What a function returns that is decorated with an `AiCall`, by its operation; with any other it is a response."""
_AFTER_ITS_END = "told after its end"


def _only_steps_around(scope: OperationScope | None) -> bool:
    """Whether nothing but steps lies between here and the task, so that no other view of a request does."""
    while scope is not None and scope.kind is STEP and scope.place is None:
        scope = scope.outer.get(OPERATION)  # type: ignore[assignment]  # only scopes are under the key
    return scope is None or (scope.place is None and scope.kind is not AI_CALL and scope.kind is not STEP)


class _Reading:
    """One stream of a call, as it is read; what is read after the call's end goes to a further view of the call."""

    __slots__ = ("begun", "call", "last", "last_ns", "reader", "taken")

    def __init__(self, call: AiCall) -> None:
        self.call, self.begun = call, False
        self.reader: StreamReader | None = None
        self.last: Any = None
        """The last chunk, while it is read."""
        self.last_ns = 0
        self.taken: Response | None = None
        """What the call has of it."""

    def chunk(self, chunk: Any) -> None:
        self.begun = True
        if not self.call._tokens:  # it has ended
            self.call = self.call.continued(self)
            if self.reader is not None:
                self.call._readings.append(self)  # with what was read before
        self.call._add_chunk(chunk, self)

    def ended(self, error: BaseException | None) -> None:
        self.last = None
        self.call.stream_ended(self, error)


_ALIKE = (type(None), bool, int)
_SHARED = 64
"""Shorter texts may be one object wherever they occur: clients keep those that they have read."""


def _passed_on(chunk: object, reading: _Reading, unended: list[_Reading]) -> bool:
    """Whether a chunk is what another stream has just given: a generator over a wrapped stream that is wrapped itself."""
    kind = type(chunk)
    if kind in _ALIKE or (kind is str and len(chunk) < _SHARED) or (kind is bytes and len(chunk) < 2):  # type: ignore[arg-type]
        return False
    return any(other.last is chunk and other is not reading for other in unended)


def _answers(readings: list[_Reading]) -> list[tuple[_Reading, Response, Billing]]:
    """What each of several streams told; of those that have nothing but a text, nothing where another has more.

    That text is the other's: a generator over a wrapped stream yields it, and is wrapped itself.
    """
    found = [(one, one.reader.response(), one.reader.billing()) for one in readings if one.reader is not None]
    more = [answer for answer in found if replace(answer[1], output=()) != _EMPTY] if len(found) > 1 else []
    return more or found


def _usage_of(billed: list[tuple[Response, Billing]]) -> Usage:
    """The tokens of everything that was paid for."""
    if len(billed) == 1:
        return billed[0][0].usage
    return sum((one.usage for one, _ in billed), Usage())


def _bill(billed: list[tuple[Response, Billing]], since: int, response: Response, billing: Billing) -> None:
    """Add a response to those that were paid for; ``since``: where the attempt's begin, one of which it may be again."""
    if response.is_total:
        # The responses of the run so far are in it; earlier runs are not.
        billed[:] = [(one, paid) for one, paid in billed if one.is_total]
    for place in range(since, len(billed)):
        before, _ = billed[place]
        if response.response_id is not None and response.response_id == before.response_id:
            cost = before.cost_usd if response.cost_usd is None else response.cost_usd
            response = replace(response, usage=larger(before.usage, response.usage), cost_usd=cost)
            billed[place] = (response, billing)
            return
    billed.append((response, billing))


def _judged(response: Response, reason: str | None) -> tuple[Outcome | None, str | None]:
    """What the response itself says of the outcome; nothing for one that only says so if it failed."""
    if response.failure is not None:
        return Outcome.FAILED, reason
    return (Outcome.CANCELLED, reason or "response cancelled") if response.cancelled else (None, reason)


_logger = logging.getLogger(__name__)
_warned: set[str] = set()
"""Names of values given by hand of which a warning was given."""


def _number_given(name: str, value: Any, read: Callable[[Any], Number | None]) -> Number | None:
    """A number given by hand; ``None`` for what is none, with a warning the first time."""
    number = read(value)
    if number is None and value is not None:
        _warn_once(name, value)
    return number


_LISTS = (list, tuple, set, frozenset)


def _reasons_given(given: Any) -> tuple[str, ...]:
    if isinstance(given, str):
        return (str.__str__(given),) if given else ()
    listed = tuple(given) if isinstance(given, _LISTS) else ()
    reasons = tuple(str.__str__(reason) for reason in listed if isinstance(reason, str))
    if given is not None and (len(reasons) < len(listed) or not isinstance(given, _LISTS)):
        _warn_once("finish_reasons", given)
    return reasons


def _warn_once(name: str, value: object) -> None:
    if name not in _warned:
        _warned.add(name)
        shown = repr(value) if type(value) in (int, float, bool) else type(value).__qualname__
        _logger.warning("%s was given as %s, which cannot be used: it is recorded as not known", name, shown)


def _plus(a: float | None, b: float | None) -> float | None:
    return b if a is None else a if b is None else a + b
