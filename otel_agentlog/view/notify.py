"""Alerts sent by Apprise (extra ``notify``): to Slack, PagerDuty, e-mail, webhooks and a hundred more.

Two things are guarded. A URL that leads into one's own network is refused unless allowed, so that a user who may set a URL cannot
reach what is behind a firewall; and of a URL only its kind and host are ever shown, as the rest is a password.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.query import Alert

MAX_WAITING = 200
"""Most notifications in the queue; past it new ones are dropped and counted."""

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
        self.not_sent = 0
        self._thread = threading.Thread(target=self._work, name="agentlog-notify", daemon=True)
        self._thread.start()

    def __call__(self, alert: Alert) -> None:
        """Queue an alert for all services; returns at once."""
        try:
            self._waiting.put_nowait(alert)
        except queue.Full:
            self.not_sent += 1
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
            if isinstance(host, str) and any(not address.is_global for address in _addresses(host)):
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
            self.not_sent += 1
            self._failed(problem)


def title_of(alert: Alert) -> str:
    """The title of a message."""
    return f"{'Over' if alert.resolved else alert.severity.capitalize()}: {alert.type.replace('_', ' ')}"


def body_of(alert: Alert) -> str:
    """The text of a message: what happened, in which task, when."""
    about = [("about", alert.specialist), ("task", alert.task_id), ("since" if not alert.resolved else "at", alert.timestamp)]
    return "\n".join([alert.message, *(f"{word}: {value}" for word, value in about if value)])


def _redacted(url: str) -> str:
    scheme, _, rest = url.partition("://")
    host = rest.split("/", 1)[0].split("?", 1)[0].rpartition("@")[2]
    # In the URLs of services without a host of their own, a token is in its place.
    return f"{scheme}://{host}" if "." in host or host.startswith("localhost") else f"{scheme}://…"


def _addresses(host: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    try:
        found = socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []  # no host at all, or none that can be reached
    return [ipaddress.ip_address(entry[4][0].split("%")[0]) for entry in found if isinstance(entry[4][0], str)]
