"""The short way to read an answer: Anthropic's, OpenAI's and their copies, where it has nothing out of the ordinary.

`read_plain` reads it in one pass into what the careful way (`read.read_response`, `read.read_billing`) makes of it, or leaves the
whole of it to that. A part of the content that is not ordinary is read by the same functions as there. That both ways agree is
what ``tests/record/providers/test_plain.py`` is for.

A name that only some other provider has, on any level, is enough to leave the short way. Those of counts are taken from the
tables of ``usage.py``, so that a new name in there is found here too; those of other fields are in `_ELSEWHERE`.
"""

from __future__ import annotations

from typing import Any

from otel_agentlog.record.providers import usage as names
from otel_agentlog.record.providers.anthropic import block_parts
from otel_agentlog.record.providers.failures import BEDROCK, ERROR_FINISH
from otel_agentlog.record.providers.fields import LARGEST_COUNT, model_fields
from otel_agentlog.record.providers.openai_chat import message_parts
from otel_agentlog.record.providers.openai_responses import item_parts, message_content
from otel_agentlog.record.providers.parts import Part, arguments_of
from otel_agentlog.record.providers.pricing import NO_BILLING, Billing
from otel_agentlog.vocabulary.usage import Response, Usage

_ELSEWHERE = frozenset(
    {
        *("http_response", "status_code", "error", "Error", "errors", "error_msg", "error_code", "base_resp", *BEDROCK),
        *(
            "is_error",
            "num_turns",
            "subtype",
            "status_details",
            "finish_reason",
            "delta",
            "response",
            "results",
            "result",
            "last_error",
        ),
        *("message_id", "tool_usage", "total_cost_usd", "_hidden_params"),
    }
)
"""Names beside an answer that change what it means, whichever API it is of."""
_NOT_IN_MESSAGE = _ELSEWHERE | {"object", "status", "choices"}
_NOT_IN_COMPLETION = _ELSEWHERE | {"type", "status", "content"}
_NOT_IN_RESPONSE = _ELSEWHERE | {"type", "choices", "content"}
_NOT_IN_CHOICE = frozenset({"error", "Error"})
_NOT_IN_ANSWER = frozenset({"reasoning_content", "reasoning", "refusal", "audio", "function_call"})

_OF_INPUT = dict.fromkeys(names.CACHE_READ, 0) | dict.fromkeys(names.CACHE_WRITTEN, 1)
_OF_OUTPUT = dict.fromkeys(names.REASONING, 2)
_DETAILS = {
    **dict.fromkeys(("prompt_tokens_details", "input_tokens_details"), _OF_INPUT),
    **dict.fromkeys(("completion_tokens_details", "output_tokens_details"), _OF_OUTPUT),
}
"""Where parts of the counts are, by the places that they have in the result of `_in_details`."""
_NOT_IN_USAGE = (
    frozenset({*names.COUNTS, *names.INPUT_DETAILS, *names.OUTPUT_DETAILS, "billed_units", "tokens", "iterations"})
    | {"cost", "cost_in_usd_ticks", "cacheDetails"}
) - (
    _DETAILS.keys()
    | {"input_tokens", "output_tokens", "prompt_tokens", "completion_tokens", "total_tokens"}
    | {"cache_read_input_tokens", "cache_creation_input_tokens", "cache_creation"}
)


def read_plain(response: object) -> tuple[Response, Billing] | None:
    """What an ordinary answer has, and what changes the price of its tokens; ``None`` for any other.

    May raise what foreign objects raise.
    """
    fields = response if type(response) is dict else model_fields(response)
    if fields is None:
        return None
    kind, form = fields.get("type"), fields.get("object")
    if kind is not None:
        return _message(fields) if type(kind) is str and kind == "message" else None
    if type(form) is str and form == "response":
        return _api_response(fields)
    return _completion(fields) if type(fields.get("choices")) is list else None


def _message(message: dict[str, Any]) -> tuple[Response, Billing] | None:
    """Of Anthropic's Messages API."""
    content, answered_by = message.get("content"), message.get("model")
    if not _NOT_IN_MESSAGE.isdisjoint(message) and _has_any(message, _NOT_IN_MESSAGE):
        return None
    if (found := _usage(message, beside=True)) is None:
        return None
    reasons: tuple[str, ...] = ()
    if "stop_reason" in message:
        reason = message["stop_reason"]
        if reason is not None and type(reason) is not str:
            return None
        reasons = (reason or "error",)
    answer_id = message.get("id")
    if not _TEXTS.issuperset((type(answer_id), type(answered_by))) or type(content) is not list:
        return None
    output: list[Part] = []
    for block in content:
        inside = block if type(block) is dict else model_fields(block)
        if inside is not None and (part := _block(inside)) is not None:
            output.append(part)
        else:
            output += block_parts(block)
    return Response(found[0], reasons, answer_id or None, answered_by or None, tuple(output)), found[1]


def _block(block: dict[str, Any]) -> Part | None:
    """The part that a text or the call of a tool is; ``None`` for any other block."""
    kind = block.get("type")
    if type(kind) is not str:
        return None
    if kind == "text":
        text = block.get("text")
        cited = block.get("citations")
        return (
            {"type": "text", "content": text}
            if type(text) is str and (cited is None or (type(cited) is list and not cited))
            else None
        )
    name, call_id, given = block.get("name"), block.get("id"), block.get("input")
    if kind != "tool_use" or type(name) is not str or type(call_id) is not str or not call_id or block.get("toolset_name"):
        return None
    return {"type": "tool_call", "name": name, "id": call_id, "arguments": arguments_of(given)}


def _completion(completion: dict[str, Any]) -> tuple[Response, Billing] | None:
    """A chat completion with one choice."""
    form, answer_id, answered_by = completion.get("object"), completion.get("id"), completion.get("model")
    if not _NOT_IN_COMPLETION.isdisjoint(completion) and _has_any(completion, _NOT_IN_COMPLETION):
        return None
    if not _TEXTS.issuperset((type(form), type(answer_id), type(answered_by))) or form == "error":
        return None
    if (found := _usage(completion, beside=False)) is None or len(completion["choices"]) != 1:
        return None
    choice = completion["choices"][0]
    choice = choice if type(choice) is dict else model_fields(choice)
    if choice is None or (not _NOT_IN_CHOICE.isdisjoint(choice) and _has_any(choice, _NOT_IN_CHOICE)):
        return None
    reasons: tuple[str, ...] = ()
    if "finish_reason" in choice:
        reason = choice["finish_reason"]
        if reason is not None and (type(reason) is not str or reason.lower() in ERROR_FINISH):
            return None
        reasons = (reason or "error",)
    message = choice.get("message")
    if message is None:
        return None
    inside = message if type(message) is dict else model_fields(message)
    output = None if inside is None else _answer(inside)
    if output is None:
        output = message_parts(message)
    return Response(found[0], reasons, answer_id or None, answered_by or None, tuple(output)), found[1]


def _answer(message: dict[str, Any]) -> list[Part] | None:
    """Parts of an assistant's message that has a text and calls of functions."""
    if not _NOT_IN_ANSWER.isdisjoint(message) and _has_any(message, _NOT_IN_ANSWER):
        return None
    content, calls = message.get("content"), message.get("tool_calls")
    if content is not None and type(content) is not str:
        return None
    parts: list[Part] = [{"type": "text", "content": content}] if content else []
    if calls is None:
        return parts
    if type(calls) is not list:
        return None
    for call in calls:
        inside = call if type(call) is dict else model_fields(call)
        if inside is None or inside.get("custom") is not None:
            return None
        function, call_id = inside.get("function"), inside.get("id")
        function = function if type(function) is dict else model_fields(function)
        if function is None or type(call_id) is not str or not call_id or type(name := function.get("name")) is not str:
            return None
        parts.append({"type": "tool_call", "name": name, "id": call_id, "arguments": arguments_of(function.get("arguments"))})
    return parts


def _api_response(response: dict[str, Any]) -> tuple[Response, Billing] | None:
    """A Response of the Responses API that is complete."""
    status, answer_id, answered_by = response.get("status"), response.get("id"), response.get("model")
    if not _NOT_IN_RESPONSE.isdisjoint(response) and _has_any(response, _NOT_IN_RESPONSE):
        return None
    if type(status) is not str or status != "completed" or not _TEXTS.issuperset((type(answer_id), type(answered_by))):
        return None
    items = response.get("output")
    if (found := _usage(response, beside=False)) is None or type(items) is not list:
        return None
    output: list[Part] = []
    for item in items:
        inside = item if type(item) is dict else model_fields(item)
        kind = None if inside is None else inside.get("type")
        if inside is None or type(kind) is not str:
            output += item_parts(item)
        elif kind == "message" and type(content := inside.get("content")) is list:
            for piece in content:
                part = _piece(piece)
                output += message_content(piece) if part is None else (part,)
        elif kind != "function_call" or (part := _function_call(inside)) is None:
            output += item_parts(item)
        else:
            output.append(part)
    return Response(found[0], (status,), answer_id or None, answered_by or None, tuple(output)), found[1]


def _piece(piece: object) -> Part | None:
    inside = piece if type(piece) is dict else model_fields(piece)
    if inside is None or type(kind := inside.get("type")) is not str or kind != "output_text":
        return None
    text, noted = inside.get("text"), inside.get("annotations")
    return (
        {"type": "text", "content": text}
        if type(text) is str and (noted is None or (type(noted) is list and not noted))
        else None
    )


def _function_call(item: dict[str, Any]) -> Part | None:
    name, call_id = item.get("name"), item.get("call_id")
    if type(name) is not str or not name or type(call_id) is not str or not call_id or item.get("arguments") is None:
        return None
    return {"type": "tool_call", "name": name, "id": call_id, "arguments": arguments_of(item["arguments"])}


_TEXTS = frozenset({str, type(None)})


def _has_any(fields: dict[str, Any], odd: frozenset[str]) -> bool:
    """Whether one of these names has a value. A ``status_code`` is one of an HTTP response even if it is ``None``."""
    present = odd.intersection(fields)
    if "status_code" in present:
        return True
    for name in present:
        if fields[name] is not None:
            break
    else:
        return False
    return True


def _usage(answer: dict[str, Any], *, beside: bool) -> tuple[Usage, Billing] | None:
    """Tokens and what changes their price; ``beside``: whether cached tokens are beside the input, not in it."""
    given = answer.get("usage")
    used = given if type(given) is dict else model_fields(given)
    if used is None or (not _NOT_IN_USAGE.isdisjoint(used) and _has_any(used, _NOT_IN_USAGE)):
        return None
    inputs, output = used.get("input_tokens"), used.get("output_tokens")
    if inputs is None and output is None:
        inputs, output = used.get("prompt_tokens"), used.get("completion_tokens")
    elif used.get("prompt_tokens") is not None or used.get("completion_tokens") is not None:
        return None
    total, read, written = used.get("total_tokens"), used.get("cache_read_input_tokens"), used.get("cache_creation_input_tokens")
    if type(inputs) is not int or type(output) is not int or not _NUMBERS.issuperset((type(total), type(read), type(written))):
        return None
    reasoning: int | None = None
    if not _DETAILS.keys().isdisjoint(used):
        if (parts := _in_details(used, read, written)) is None:
            return None
        read, written, reasoning = parts
    of_cache = (read or 0) + (written or 0)
    if beside:
        inputs += of_cache
    # What `usage.checked` looks at: here everything fits already.
    fits = (
        min(inputs - of_cache, output - (reasoning or 0), read or 0, written or 0) >= 0 and 0 < inputs + output <= LARGEST_COUNT
    )
    if not fits or (total is not None and total != inputs + output) or (billing := _billing(used, answer)) is None:
        return None
    return Usage(inputs, output, read, written, reasoning), billing


def _in_details(used: dict[str, Any], read: int | None, written: int | None) -> list[int | None] | None:
    """Cached tokens, read and written, and those of reasoning: the largest of each that is there."""
    most = [read, written, None]
    for name in _DETAILS.keys() & used:
        if (details := used[name]) is None:
            continue
        details = details if type(details) is dict else model_fields(details)
        if details is None:
            return None
        places = _DETAILS[name]
        for part in places.keys() & details:
            if (number := details[part]) is None:
                continue
            if type(number) is not int or number < 0:
                return None
            before = most[places[part]]
            most[places[part]] = number if before is None else max(before, number)
    return most


_NUMBERS = frozenset({int, type(None)})


def _billing(used: dict[str, Any], answer: dict[str, Any]) -> Billing | None:
    """As `usage.billing_of`; ``None`` where something is not of the type that it should be of."""
    tier, speed = used.get("service_tier") or answer.get("service_tier") or None, used.get("speed") or None
    hour, searches = used.get("cache_creation"), used.get("server_tool_use")
    if hour is not None:
        hour = hour if type(hour) is dict else model_fields(hour)
        if hour is None:
            return None
        hour = hour.get("ephemeral_1h_input_tokens")
    if searches is not None:
        searches = searches if type(searches) is dict else model_fields(searches)
        if searches is None:
            return None
        searches = searches.get("web_search_requests")
    if tier is None and speed is None and hour is None and searches is None:
        return NO_BILLING
    if not _TEXTS.issuperset((type(tier), type(speed))) or not _NUMBERS.issuperset((type(hour), type(searches))):
        return None
    if not 0 <= (hour or 0) <= LARGEST_COUNT or not 0 <= (searches or 0) <= LARGEST_COUNT:
        return None
    return Billing(tier, speed, hour, searches)
