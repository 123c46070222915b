"""``agentlog doctor``: see whether everything is in place, and send a test trace."""

from __future__ import annotations

import argparse
from urllib.parse import urlsplit

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.settings.fields import load, read_config_file
from otel_agentlog.view.cli.actions.doctor import BAD, OK, WARN, Finding, examine
from otel_agentlog.view.cli.frame import Setting, print_json
from otel_agentlog.view.render import human
from otel_agentlog.view.render.screen import Piece, Progress, Screen
from otel_agentlog.vocabulary.terminal_text import safe


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add this command's options."""
    parser.add_argument("--no-send", action="store_true", help="send no test trace")
    parser.add_argument("--endpoint", metavar="URL", help="try this collector instead of the one in the settings")
    parser.add_argument("--protocol", choices=("http/protobuf", "grpc"), help="how to speak to it (default: as the SDK)")
    parser.add_argument("--jaeger", metavar="URL", help="look for the test trace there too, e.g. http://localhost:16686")


def run(options: argparse.Namespace, setting: Setting) -> int:
    """Make all checks; 1 if something is wrong."""
    given = {key: value for key in ("endpoint", "protocol") if (value := getattr(options, key)) is not None}
    settings = load({**given, "directory": setting.root}, read_config_file())
    if options.jaeger and urlsplit(options.jaeger).scheme not in ("http", "https"):
        raise ConfigurationError("--jaeger", options.jaeger, "a URL like http://localhost:16686")
    screen = setting.screen()
    findings: list[Finding] = []
    with Progress() as progress:
        for finding in examine(settings, send=not options.no_send, jaeger=options.jaeger):
            findings.append(finding)
            if not options.json:
                _tell(screen, finding)
            progress.show("sending a test trace")
    bad = sum(finding.verdict == BAD for finding in findings)
    if options.json:
        print_json({"ok": not bad, "findings": [finding.as_json() for finding in findings]})
    else:
        warned = sum(finding.verdict == WARN for finding in findings)
        screen.line(f"{_sum(bad, 'problem')}, {_sum(warned, 'warning')}.")
    return int(bad > 0)


def _sum(number: int, noun: str) -> str:
    return human.count(number, noun) if number else f"no {noun}s"


def _tell(screen: Screen, finding: Finding) -> None:
    glyphs = screen.glyphs
    sign, style = {OK: (glyphs.ok, "ok"), WARN: (glyphs.warn, "warn"), BAD: (glyphs.bad, "bad")}[finding.verdict]
    screen.line(Piece(f"{sign} ", style), Piece(f"{finding.what:<14}", "title"), Piece(safe(finding.words)))
    if finding.hint:
        screen.line(Piece(f"{'':<16}{glyphs.arrow} {safe(finding.hint)}", "dim"))
