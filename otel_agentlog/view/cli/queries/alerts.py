"""``agentlog alerts``: which rules are, or were, exceeded; with ``--watch`` as it happens, also by tasks of other processes."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.query import Alert, Feed, Rule, Watch, rules_from, time_of
from otel_agentlog.query.filters.moments import parse_moment
from otel_agentlog.settings.fields import load, read_config_file
from otel_agentlog.view.alerting import replay
from otel_agentlog.view.cli.context import CliContext, print_json
from otel_agentlog.view.cli.options import interval_s, moment
from otel_agentlog.view.notify import Notifier
from otel_agentlog.view.render import formats
from otel_agentlog.view.render.screen import Piece, Screen
from otel_agentlog.vocabulary.terminal_text import safe

DEFAULT_SINCE = "1h"
_NS = 1_000_000_000
_STYLES = {"critical": "bad", "warning": "warn", "info": "ok"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("--watch", action="store_true", help="go on until Ctrl-C, and tell as it happens")
    parser.add_argument(
        "--since", type=moment, metavar="WHEN", help=f"look back this far: 2h, yesterday, an ISO date (default {DEFAULT_SINCE})"
    )
    parser.add_argument(
        "--interval", type=interval_s, default=2.0, metavar="S", help="of --watch: seconds between looks (default 2)"
    )
    parser.add_argument(
        "--rule",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="another threshold, e.g. error_rate_percent=15, task_cost_usd=2:stop, errors_per_minute=off",
    )
    parser.add_argument("--rules", action="store_true", help="list the rules with their thresholds, and end")
    parser.add_argument("--notify", action="append", default=[], metavar="URL", help="of --watch: also tell there (Apprise URL)")
    parser.add_argument("--allow-internal", action="store_true", help="let --notify reach addresses of this network")


def run(options: argparse.Namespace, context: CliContext) -> int:
    """Print the alerts; without ``--watch`` 1 if there is an active one."""
    rules = _rules(options)
    if options.rules:
        _list_rules(rules, context, as_json=options.json)
        return 0
    if options.notify and not options.watch:
        raise ConfigurationError("--notify", f"{len(options.notify)} addresses", "--watch with it, as it tells what comes")
    if options.watch:
        return _watch(options, context, rules)
    return _past(options, context, rules)


def _rules(options: argparse.Namespace) -> dict[str, Rule]:
    given: dict[str, Any] = dict(load({}, read_config_file()).alerts)
    for text in options.rule:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigurationError("--rule", text, "NAME=VALUE, e.g. error_rate_percent=15")
        given[name.strip()] = _value(name, value.strip())
    return rules_from(given)


def _value(name: str, text: str) -> Any:
    if text.lower() in ("off", "false", "no"):
        return False
    number, _, action = text.partition(":")
    try:
        threshold = float(number)
    except ValueError:
        raise ConfigurationError(f"--rule {name}", text, "a number, a number with :stop, or off") from None
    return {"threshold": threshold, "action": action} if action else threshold


def _list_rules(rules: Mapping[str, Rule], context: CliContext, *, as_json: bool) -> None:
    if as_json:
        print_json({"rules": [{**vars(rule), "threshold": rule.threshold if rule.enabled else None} for rule in rules.values()]})
        return
    screen = context.screen()
    for rule in rules.values():
        words = [f"above {rule.threshold:g}"] if rule.enabled else ["off"]
        if rule.enabled:
            words += [f"in {rule.window_s:g} s"] if rule.window_s else []
            words += [f"of at least {rule.at_least} executions"] if rule.at_least > 1 else []
            words += [f"at least {rule.at_least_events} of them"] if rule.at_least_events > 1 else []
            words += [f"ends at {rule.end_value:g} for {rule.hold_ns / 1e9:g} s"] if rule.window_s else []
            words += ["stops the task"] if rule.action == "stop" else []
        screen.line(
            Piece(f"{rule.name:<30}", "id"), Piece(f"{rule.severity:<10}", _STYLES.get(rule.severity, "")), ", ".join(words)
        )


def _past(options: argparse.Namespace, context: CliContext, rules: Mapping[str, Rule]) -> int:
    since_ns = int((options.since if options.since is not None else parse_moment(DEFAULT_SINCE)) * _NS)
    watch = Watch(rules)
    alerts = list(replay(watch, Feed(context.root, since_ns).poll()))
    if options.json:
        print_json({"active": [a.as_json() for a in watch.active.values()], "alerts": [alert.as_json() for alert in alerts]})
        return int(bool(watch.active))
    screen = context.screen()
    for alert in alerts:
        _print(screen, alert)
    active = formats.count(len(watch.active), "alert")
    since = f"{datetime.fromtimestamp(since_ns / _NS).astimezone():%Y-%m-%d %H:%M}"
    screen.line(f"{active if watch.active else 'No alert'} now; {formats.count(len(alerts), 'notice')} since {since}.")
    return int(bool(watch.active))


def _watch(options: argparse.Namespace, context: CliContext, rules: Mapping[str, Rule]) -> int:
    screen = context.screen()
    notifier = _notifier(options, screen)
    since_s = options.since if options.since is not None else time.time()
    watch, feed = Watch(rules), Feed(context.root, int(since_s * _NS))
    if not options.json:
        enabled = formats.count(sum(rule.enabled for rule in rules.values()), "rule")
        screen.line(f"Watching {safe(str(context.root))} by {enabled}; Ctrl-C ends it.")
    pause = threading.Event()
    try:
        while True:
            for seen in feed.poll():
                watch.observe(seen)
            for alert in watch.evaluate(time.time_ns()):
                _act(alert, feed, screen, notifier, as_json=options.json)
            screen.flush()
            pause.wait(options.interval)
    finally:
        if notifier is not None:
            notifier.close()


def _notifier(options: argparse.Namespace, screen: Screen) -> Notifier | None:
    if not options.notify:
        return None
    return Notifier(
        options.notify,
        allow_internal=options.allow_internal,
        failed=lambda problem: screen.line(Piece(f"not sent: {safe(problem)}", "warn")) if not options.json else None,
    )


def _act(alert: Alert, feed: Feed, screen: Screen, notifier: Notifier | None, *, as_json: bool) -> None:
    if as_json:
        print_json(alert.as_json())
    else:
        _print(screen, alert)
    if notifier is not None:
        notifier(alert)
    if alert.action == "stop" and alert.task_id is not None:
        _stop(alert, feed, screen, quiet=as_json)


def _stop(alert: Alert, feed: Feed, screen: Screen, *, quiet: bool) -> None:
    from otel_agentlog.tools import cancel

    folder = feed.folder_of(str(alert.task_id))
    outcome = "asked it to cancel"
    try:
        if folder is not None:
            cancel(folder, reason=f"{alert.type}: {alert.message}", source="alert")
    except Exception as error:  # noqa: BLE001 - the watch goes on where one request fails
        outcome = f"could not ask it to cancel: {error}"
    if not quiet:
        screen.line(Piece(f"  {safe(outcome)}", "dim"))


def _print(screen: Screen, alert: Alert) -> None:
    about = " ".join(safe(word) for word in (alert.task_id, alert.specialist) if word)
    screen.line(
        Piece(f"{formats.local_moment(time_of({'timestamp': alert.timestamp}))}  ", "dim"),
        Piece(f"{'ended' if alert.resolved else alert.severity:<9}", _STYLES.get(alert.severity, "")),
        Piece(f"{alert.type}  ", "id"),
        Piece(safe(alert.message.removeprefix("ended "))),
        Piece(f"  {about}" if about else "", "dim"),
    )
