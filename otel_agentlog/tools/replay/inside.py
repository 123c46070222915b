"""In the program that is replayed: decorated tools and AI calls are answered, connections to other machines refused.

A ``with`` block runs as it is, as nothing can be put in the place of its code.
"""

from __future__ import annotations

import builtins
import errno
import http.client
import ipaddress
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog._startup import tell
from otel_agentlog.errors import AgentlogError
from otel_agentlog.record.operations.ai_call import AiCall
from otel_agentlog.record.operations.tool_run import ToolRun
from otel_agentlog.settings.fields import inherited
from otel_agentlog.tools.replay.recorded import ANSWERED
from otel_agentlog.tools.replay.server import ASK
from otel_agentlog.tools.replay.variables import OFFLINE, URL
from otel_agentlog.vocabulary import functions
from otel_agentlog.vocabulary.coerce import python_literal, text
from otel_agentlog.vocabulary.terminal_text import safe

TIMEOUT_S = 30.0
Ask = Callable[[dict[str, Any]], Mapping[str, Any]]


class RecordedError(AgentlogError):
    """An error that is on record, of a class that cannot be made here."""


def begin() -> None:
    """Begin, if this process is one of a replay. Says in one line on stderr why it cannot."""
    given = inherited((URL, OFFLINE))
    if URL not in given:
        return
    try:
        answer_decorated(client_of(given[URL]))
        if given.get(OFFLINE) == "1":
            refuse_connections()
    except Exception as error:  # noqa: BLE001 - the program runs, and its parent reports that no request came
        raise_interrupt()
        tell(f"agentlog: the replay does not begin: {error}\n")


def client_of(url: str) -> Ask:
    """A function that asks the server at an address; empty where that does not answer the question."""
    parts = urlsplit(url)

    def ask(question: dict[str, Any]) -> Mapping[str, Any]:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        try:
            body = orjson.dumps(question, default=str, option=orjson.OPT_NON_STR_KEYS)
            connection.request("POST", f"{parts.path}{ASK}", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        found = orjson.loads(data) if response.status == 200 else None
        return found if isinstance(found, dict) else {}

    return ask


def answer_decorated(ask: Ask) -> Callable[[], None]:
    """Answer decorated tools and AI calls from now on; returns what ends that."""

    def in_place(surrounding: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        question = _question(surrounding)
        if question is None:
            return function
        try:
            found = ask(question)
        except (OSError, http.client.HTTPException, ValueError, TypeError):
            raise_interrupt()
            return function
        return _giving(found, functions.kind_of(function) == "coroutine") if found else function

    before, functions.IN_PLACE = functions.IN_PLACE, in_place

    def end() -> None:
        functions.IN_PLACE = before

    return end


def _question(surrounding: Any) -> dict[str, Any] | None:
    if isinstance(surrounding, ToolRun):
        return {"kind": "tool", "name": surrounding.name, "arguments": surrounding.arguments}
    if isinstance(surrounding, AiCall) and (surrounding.provider or "").lower() not in ("", *ANSWERED):
        return {"kind": "ai", "model": surrounding.model, "provider": surrounding.provider}
    return None


def _giving(found: Mapping[str, Any], is_coroutine: bool) -> Callable[..., Any]:
    def give(*args: Any, **kwargs: Any) -> Any:
        if isinstance(error := found.get("error"), Mapping):
            raise error_of(error)
        return found.get("result")

    async def give_later(*args: Any, **kwargs: Any) -> Any:
        return give()

    return give_later if is_coroutine else give


def error_of(exception: Mapping[str, Any]) -> Exception:
    """An exception as it is on record: of its own class, where that is a builtin or loaded and says the same."""
    name, message = text(exception, "type") or "Exception", text(exception, "message") or ""
    package, _, kind = name.rpartition(".")
    home = builtins if package in ("", "builtins") else sys.modules.get(package)
    found = getattr(home, kind, None)
    if isinstance(found, type) and issubclass(found, Exception):
        for given in _arguments(found, message):
            try:
                error = found(*given)
                if str(error) == message:
                    return error
            except Exception:  # noqa: BLE001 - the class of a program may want anything
                raise_interrupt()
    return RecordedError(f"{name}: {message}")


_OS_ERROR = re.compile(r"\[Errno (\d+)\] ([^:]*)(?:: (.*))?", re.DOTALL)


def _arguments(kind: type[Exception], message: str) -> Iterator[tuple[Any, ...]]:
    """What an exception may have been made of that says this."""
    if issubclass(kind, OSError) and (found := _OS_ERROR.fullmatch(message)) is not None:
        name = (python_literal(found[3], found[3]),) if found[3] else ()
        yield (int(found[1]), found[2], *name)
    if issubclass(kind, KeyError):
        yield (python_literal(message, message),)
    yield (message,)


def refuse_connections() -> Callable[[], None]:
    """Refuse connections to other machines from now on, in this process; returns what ends that.

    By an audit hook of Python: it sees all that goes through ``socket``, and nothing of libraries with sockets of their own.
    """
    if not _hooked:
        _hooked.append(True)  # a hook stays for ever, so there is one
        sys.addaudithook(_refuse)
    _refusing.append(set())

    def end() -> None:
        _refusing.pop()

    return end


_hooked: list[bool] = []
_refusing: list[set[str]] = []
"""One set for each refusal that is in force: the hosts that were reported."""


def _refuse(event: str, given: tuple[Any, ...]) -> None:
    if not _refusing or event not in _EVENTS:
        return
    host = _host(event, given)
    if host is None or _is_local(host):
        return
    if host not in _refusing[-1]:
        _refusing[-1].add(host)
        tell(f"agentlog replay: refused a connection to {safe(host)}\n")
    raise ConnectionRefusedError(errno.ECONNREFUSED, f"agentlog replay refuses connections to other machines: {host}")


_EVENTS = frozenset({"socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname"})


def _host(event: str, given: tuple[Any, ...]) -> str | None:
    """The host that an event is about; ``None`` for sockets of this machine's file system, and where none is named."""
    address = given[0] if event.startswith("socket.get") else given[1]
    if isinstance(address, tuple) and address:
        address = address[0]
    elif not event.startswith("socket.get"):
        return None
    if isinstance(address, bytes):
        address = address.decode("ascii", "replace")
    return address if isinstance(address, str) and address else None


def _is_local(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        raise_interrupt()
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
