"""Finds the error that a provider reports inside its answer: `failure_of`.

An answer with the status 200, or a chunk in the middle of a stream, may be an error: no client raises for all of them. A refusal
and a content filter are answers, with a finish reason of their own, and so is one that is incomplete.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from otel_agentlog._startup import lazy_pattern
from otel_agentlog.record.providers.fields import count, field, has, items, name_of, text
from otel_agentlog.vocabulary.usage import Failure

_CODES = ("code", "status", "type", "error_type", "Code", "subtype")
"""Where errors have their code, best first: OpenAI, Gemini, Anthropic, Text Generation Inference, AWS, claude-agent-sdk."""
_BESIDE = ("code", "error_type", "subtype")
"""Where an answer has the code of an error that is only a text."""
_MESSAGES = ("message", "msg", "Message", "detail", "details", "reason")
BEDROCK = (
    *("internalServerException", "modelStreamErrorException", "modelTimeoutException"),
    *("serviceUnavailableException", "throttlingException", "validationException"),
)
"""Events of Bedrock's streams that are errors: the event has this key alone."""
_NO_ANSWERS = ("errored", "canceled", "expired")
"""Results of a batch of Anthropic's that are none."""
ERROR_FINISH = ("error", "network_error")
"""Finish reasons that are errors: of most; of Zhipu."""
_CODE = lazy_pattern(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,99}")


class ModelError(Exception):
    """A `Failure` in the shape in which errors are recorded and categorized; it is never raised."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(": ".join(filter(None, (failure.code, failure.message))))
        self.code = failure.code
        if failure.code is not None and re.fullmatch(r"[45]\d\d", failure.code):
            self.status_code = int(failure.code)


def failure_of(response: object) -> Failure | None:
    """The error in an answer, an event or a chunk of any provider; ``None`` if there is none. Nothing is read from a stream."""
    return next((found for find in _FINDERS if (found := find(response)) is not None), None)


def _of_error(response: object) -> Failure | None:
    """An ``error``, as an object or as text: nearly everybody's."""
    error = field(response, "error")
    if error is None:
        error = field(response, "Error")  # AWS
    if isinstance(error, str):
        return Failure(_code(response, _BESIDE), str.__str__(error)) if error else None
    if error is None or isinstance(error, (bool, int, float)):
        return _of_itself(response) if error is True else None
    return _described(error)


def _of_type(response: object) -> Failure | None:
    """An event that is an error by its type: the Responses API, vLLM, Mistral."""
    if text(response, "type") == "error" or text(response, "object") == "error":
        return _of_itself(response)
    return None


def _of_itself(response: object) -> Failure | None:
    found = _described(response)
    if found is None:
        return None
    return Failure(None, found.message) if found.code == "error" else found


def _of_bedrock(response: object) -> Failure | None:
    for name in BEDROCK:
        error = field(response, name)
        if isinstance(error, Mapping) or text(error, "message") is not None:
            message = text(error, "message") or text(error, "originalMessage") or name
            return Failure(name, message)
    return None


def _of_errors(response: object) -> Failure | None:
    """A list of ``errors``: watsonx.ai, claude-agent-sdk."""
    errors = items(response, "errors")
    if not errors or field(response, "is_error") is False:
        return None
    first = errors[0]
    return Failure(_code(response, _BESIDE), str.__str__(first)) if isinstance(first, str) else _described(first)


def _of_message(response: object) -> Failure | None:
    """A message of its own name: Baidu, MiniMax."""
    base = field(response, "base_resp")
    for holder, message, code in ((response, "error_msg", "error_code"), (base, "status_msg", "status_code")):
        found = _code(holder, (code,))
        if found not in (None, "0") and (said := name_of(holder, message)) is not None:
            return Failure(found, said)
    return None


def _of_http(response: object) -> Failure | None:
    """An HTTP response with an error's status, or an object that has one: httpx, requests, DashScope."""
    status = count(response, "status_code")
    if status is None or not 400 <= status < 600:
        return None
    found = _described(response)
    return Failure((found and found.code) or str(status), found.message if found else f"HTTP status {status}")


def _of_status(response: object) -> Failure | None:
    """A status: the Responses API, its realtime sibling, a run of the Assistants API, Replicate."""
    if text(response, "status") != "failed":
        return None
    found = _described(field(field(response, "status_details"), "error")) or _described(field(response, "last_error"))
    return found or Failure("failed", "the provider gives the status failed and no reason")


def _of_batch(response: object) -> Failure | None:
    """One answer of a batch: Anthropic's has the kind of its result, OpenAI's an HTTP response."""
    result, answer = field(response, "result"), field(response, "response")
    kind = text(result, "type")
    if kind in _NO_ANSWERS:
        return _of_error(field(result, "error")) or _of_error(result) or Failure(kind, f"the batch gives the result {kind}")
    if not has(answer, "body") or (failed := _of_http(answer)) is None:
        return None
    found = _of_error(field(answer, "body"))
    return failed if found is None else Failure(found.code or failed.code, found.message)


def _of_run(response: object) -> Failure | None:
    """The result of an agent's run: claude-agent-sdk and Claude Code."""
    if field(response, "is_error") is not True or not has(response, "num_turns"):
        return None
    code = name_of(response, "subtype")
    return Failure(None if code == "success" else code, text(response, "result") or code or "error")


def _of_choices(response: object) -> Failure | None:
    """A choice that is an error: OpenRouter; or that ends with one: Mistral, Cohere."""
    choices = items(response, "choices")
    for choice in choices:
        if (found := _of_error(choice)) is not None:
            return found
    reasons = [text(one, "finish_reason") for one in (*choices, response, field(response, "delta"), field(response, "response"))]
    if any(reason is not None and reason.lower() in ERROR_FINISH for reason in reasons):
        return Failure("error", "the provider gives the finish reason error and no other")
    return None


_FINDERS: tuple[Callable[[object], Failure | None], ...] = (
    *(_of_error, _of_type, _of_bedrock, _of_errors, _of_run, _of_status, _of_batch, _of_choices, _of_message, _of_http),
)


def _described(error: object) -> Failure | None:
    """What an error object says; ``None`` for one that says nothing."""
    code = _code(error)
    message = next((found for name in _MESSAGES if (found := name_of(error, name)) is not None), None)
    return None if code is None and message is None else Failure(code, message or str(code))


def _code(error: object, names: tuple[str, ...] = _CODES) -> str | None:
    """The code in words if there is one, else the number: a word says more, and a class of errors may have it for a name."""
    found = [field(error, name) for name in names]
    words = [str.__str__(word) for word in found if isinstance(word, str) and _CODE.fullmatch(word)]
    numbers = [str(number) for number in found if type(number) is int and 0 <= number < 100_000]
    return next(iter(words + numbers), None)
