"""Alerts sent by Apprise (extra ``notify``): to Slack, PagerDuty, e-mail, webhooks and a hundred more.

Two things are guarded. A URL that leads into one's own network is refused unless allowed, so that a user who may set a URL cannot
reach what is behind a firewall: its host when it is set, and every connection that is made for it, wherever a redirect or a name
with a new address leads. And of a URL only its kind and host are ever shown, as the rest is a password.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.query import Alert

MAX_WAITING = 200
"""Most notifications in the queue; past it new ones are dropped and counted."""

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Prefixes of IPv6 addresses that hold one of IPv4, and how many bits are to the right of it: NAT64 (RFC 6052), 6to4 (RFC 3056),
# translated (RFC 2765) and compatible addresses (RFC 4291). Teredo and mapped ones `ipaddress` knows.
_HOLD_IPV4 = tuple(
    (ipaddress.IPv6Network(prefix), right)
    for prefix, right in (("64:ff9b::/96", 0), ("2002::/16", 80), ("::ffff:0:0:0/96", 0), ("::/96", 0))
)
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)
"""Bits 32 to 64 from the right of an address that ends in one of IPv4 (RFC 5214)."""
# Not public, though not every release of `ipaddress` says so: NAT64 of a network's own prefix, Azure's services of a machine,
# protocol assignments (Oracle's metadata, 192.0.0.192), documentation, segment routing.
_NOT_PUBLIC = tuple(map(ipaddress.ip_network, ("64:ff9b:1::/48", "168.63.129.16/32", "192.0.0.0/24", "3fff::/20", "5f00::/16")))
_guarded = threading.local()

_KIND_OF = {"critical": "failure", "warning": "warning", "info": "success"}


class Notifier:
    """A callback for `register_alert_callback` that sends from a thread of its own.

    ``urls`` are Apprise's (https://github.com/caronc/apprise/wiki): ``slack://…``, ``pagerduty://…``, ``mailto://…``, ``jsons://…``.

    Raises:
        ConfigurationError: Apprise is not installed, does not support a URL, or one is internal and `allow_internal` is not set.
    """

    def __init__(
        self, urls: Iterable[str], *, allow_internal: bool = False, failed: Callable[[str], object] = lambda problem: None
    ) -> None:
        self._allow_internal, self._failed = allow_internal, failed
        self._services = [self._service(url) for url in urls]
        self._waiting: queue.Queue[Alert | None] = queue.Queue(MAX_WAITING)
        self.sent = 0
        self._thread = threading.Thread(target=self._work, name="agentlog-notify", daemon=True)
        self._thread.start()

    def __call__(self, alert: Alert) -> None:
        """Queue an alert for all services; returns at once."""
        try:
            self._waiting.put_nowait(alert)
        except queue.Full:
            self._failed("too many notifications at once")

    def close(self, timeout_s: float = 10.0) -> None:
        """Send what is queued, for at most `timeout_s` seconds."""
        try:
            self._waiting.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)

    def _service(self, url: str) -> Any:
        try:
            import apprise
        except ImportError:
            raise ConfigurationError("notify", "an address", "the extra notify: pip install 'otel_agentlog[notify]'") from None
        with warnings.catch_warnings():
            # It imports a hundred services to find the one, some of which use what Python deprecates.
            warnings.simplefilter("ignore", DeprecationWarning)
            service = apprise.Apprise.instantiate(url, suppress_exceptions=True)
        if service is None:
            raise ConfigurationError(
                "notify", _redacted(url), "an address that Apprise knows, e.g. slack://… or jsons://host/path"
            )
        self._refuse_internal(service, _redacted(url))
        return service

    def _refuse_internal(self, service: Any, redacted: str) -> None:
        if self._allow_internal:
            return
        for name in ("host", "smtp_host"):
            host = getattr(service, name, None)
            if isinstance(host, str) and any(map(is_internal, _addresses(host))):
                raise ConfigurationError("notify", redacted, "an address outside of this network, or allow_internal=True")

    def _work(self) -> None:
        while (alert := self._waiting.get()) is not None:
            for service in self._services:
                self._send(service, alert)

    def _send(self, service: Any, alert: Alert) -> None:
        redacted = _redacted(str(service.url(privacy=True)))
        try:
            # Checked each time, as a host name may have another address by now.
            self._refuse_internal(service, redacted)
            with _only_outside(not self._allow_internal):
                was_sent = service.notify(
                    title=title_of(alert), body=body_of(alert), notify_type=_KIND_OF.get(alert.severity, "warning")
                )
        except Exception as error:  # noqa: BLE001 - services raise anything; none may end the thread
            was_sent = False
            problem = f"{redacted}: {type(error).__name__}"
        else:
            problem = f"{redacted} did not take it"
        if was_sent:
            self.sent += 1
        else:
            self._failed(problem)


def title_of(alert: Alert) -> str:
    """The title of a message."""
    return f"{'Ended' if alert.resolved else alert.severity.capitalize()}: {alert.type.replace('_', ' ')}"


def body_of(alert: Alert) -> str:
    """The text of a message: what happened, in which task, when."""
    about = [("about", alert.specialist), ("task", alert.task_id), ("since" if not alert.resolved else "at", alert.timestamp)]
    return "\n".join([alert.message, *(f"{word}: {value}" for word, value in about if value)])


def _redacted(url: str) -> str:
    scheme, _, rest = url.partition("://")
    host = rest.split("/", 1)[0].split("?", 1)[0].rpartition("@")[2]
    # In the URLs of services without a host of their own, a token is in its place.
    return f"{scheme}://{host}" if "." in host or host.startswith("localhost") else f"{scheme}://…"


def is_internal(address: _Address) -> bool:
    """Whether an address is not a public one, or holds one of IPv4 that is not, which a translator or tunnel would reach."""
    if address.version == 4:
        return not address.is_global or address.is_multicast or any(address in network for network in _NOT_PUBLIC)
    if address.is_multicast or address.is_site_local or any(address in network for network in _NOT_PUBLIC):
        return True
    inner = list(_inner(address))
    return any(map(is_internal, inner)) or (not inner and not address.is_global)


def _inner(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    """The addresses of IPv4 that one of IPv6 holds."""
    number = int(address)
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    yield from address.teredo or ()
    for network, right in _HOLD_IPV4:
        if address in network:
            yield ipaddress.IPv4Address(number >> right & 0xFFFF_FFFF)
    if number >> 32 & 0xFFFF_FFFF in _ISATAP:
        yield ipaddress.IPv4Address(number & 0xFFFF_FFFF)


@contextmanager
def _only_outside(enabled: bool) -> Iterator[None]:
    """Let this thread connect to public addresses and the proxies that are set, and to no others."""
    if not enabled:
        yield
        return
    _guard()
    _guarded.proxies = set(_proxies())
    try:
        yield
    finally:
        del _guarded.proxies


def _proxies() -> Iterator[tuple[_Address, int]]:
    for url in getproxies().values():
        parts = urlsplit(url)
        for address in _addresses(parts.hostname) if parts.hostname else ():
            yield address, parts.port or (443 if parts.scheme == "https" else 80)


@cache
def _guard() -> None:
    """Have the interpreter ask before each connection. Such a hook stays; in other threads it does nothing."""
    sys.addaudithook(_refuse_connection)


def _refuse_connection(event: str, arguments: tuple[Any, ...]) -> None:
    proxies = getattr(_guarded, "proxies", None) if event in ("socket.connect", "socket.sendto", "socket.sendmsg") else None
    if proxies is None or arguments[1] is None:
        return  # another thread's, or on a connection that was made
    link, target = arguments[0], arguments[1]
    if link.family not in (socket.AF_INET, socket.AF_INET6) or not isinstance(target, tuple):
        raise PermissionError("a connection within this machine, or to an unknown kind of address")
    if any(is_internal(address) and (address, target[1]) not in proxies for address in _addresses(str(target[0]))):
        raise PermissionError("a connection to an address of this network")


def _addresses(host: str) -> list[_Address]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []  # no host at all, or none that can be reached
    return [ipaddress.ip_address(entry[4][0].split("%")[0]) for entry in found if isinstance(entry[4][0], str)]
