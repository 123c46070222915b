"""The ways the receiver can answer: well, or like the backends that a program has to survive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from otel_agentlog.testing.otlp.values import Item


@dataclass(frozen=True)
class Ok:
    """Ingest, then say so."""


@dataclass(frozen=True)
class Refuse:
    """Ingest nothing and answer with an http status; over gRPC with the status code that OTLP maps it to."""

    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    """Over gRPC only ``Retry-After`` (seconds) counts: it becomes a ``RetryInfo``."""
    body: bytes = b""


@dataclass(frozen=True)
class PartialSuccess:
    """Answer 200 but say that some items were rejected; the first ``rejected`` items of the request are not ingested."""

    rejected: int = 1
    message: str = "rejected by the test"


@dataclass(frozen=True)
class Hang:
    """Do not answer until the receiver stops or is given another answer."""

    ingest: bool = False


@dataclass(frozen=True)
class SlowLoris:
    """Ingest, then send the http answer one byte every ``interval_s``, ``length`` bytes in all. Over gRPC the same as `Hang`."""

    interval_s: float = 0.1
    length: int = 1000


@dataclass(frozen=True)
class Reset:
    """Cut the connection without an answer, before or after ingesting."""

    ingest: bool = False


@dataclass(frozen=True)
class HugeReply:
    """Ingest, then answer 200 with a valid response of about ``size_bytes``."""

    size_bytes: int = 64 * 1024 * 1024


@dataclass(frozen=True)
class Redirect:
    """Answer with a redirect to another URL; ``{path}`` stands for the request's path. Over gRPC there is no such thing."""

    location: str
    status: int = 307


@dataclass(frozen=True)
class Poison:
    """Answer 400 when any item of the batch is one of these, else `Ok`."""

    reject_if: Callable[[Item], bool]


Answer: TypeAlias = Ok | Refuse | PartialSuccess | Hang | SlowLoris | Reset | HugeReply | Redirect | Poison


def ingested(answer: Answer, items: list[Item]) -> list[Item]:
    """What a receiver with this answer keeps of the items of one request."""
    if isinstance(answer, (Hang, Reset)):
        return items if answer.ingest else []
    if isinstance(answer, PartialSuccess):
        return items[answer.rejected :]
    if isinstance(answer, (Refuse, Redirect)):
        return []
    return items


def settle(answer: Answer, items: list[Item]) -> Answer:
    """The answer to this very batch: `Poison` becomes `Refuse` or `Ok`, all others stay."""
    if not isinstance(answer, Poison):
        return answer
    return Refuse(400, body=b"poison") if any(answer.reject_if(item) for item in items) else Ok()
