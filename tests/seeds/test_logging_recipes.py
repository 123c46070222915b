"""``docs/recipes.md`` on two logging systems: every line on the right runs, in its order, and leaves what it is to leave."""

from __future__ import annotations

import json
import re
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.seeds.place import Place
from tests.support.documents import REPOSITORY, Row, rows

SHELL = re.compile(r"(jq|cat|tail|zcat|AGENTLOG_LOG_FILE=\S+ agentlog) ")


def _lines(section: str) -> list[str]:
    found: list[Row] = [row for row in rows(REPOSITORY / "docs" / "recipes.md") if row.section == section]
    assert len(found) > 12
    return [code for row in found for code in row.new]


@pytest.mark.parametrize(
    ("section", "log"), [("Logging of an orchestrator", "orchestrator.log"), ("Logging of a chat bot", "bot.log")]
)
def test_every_line_does_what_the_page_says(section: str, log: str, tmp_path: Path) -> None:
    """Python first, the shell on what it left; none fails, none complains, none says nothing."""
    place = Place(tmp_path)
    lines = _lines(section)
    python = [line for line in lines if not SHELL.match(line)]
    done = place.python("\n".join([*python, "print('END')"]))
    with suppress(OSError):
        Path("/var/log/ported").rmdir()  # made where this user may
    assert done.stdout.endswith("END\n")
    assert len(place.lines_of(f"logs/{log}")) >= 3
    program = place.path / "agentlog"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m otel_agentlog "$@"\n')
    program.chmod(0o755)
    identity = next(line["error_id"] for line in place.lines_of(f"logs/{log}") if "error_id" in line)
    shell = [line for line in lines if SHELL.match(line)]

    said = {line: place.shell(f"PATH=$PWD:$PATH; {line}", ERROR_ID=identity) for line in shell}

    assert [line for line, text in said.items() if not text.strip() and "select(.details)" not in line] == []
    for line, text in said.items():
        if "error_id ==" in line:
            assert json.loads(text)["error_id"] == identity
        if "awk" in line:
            assert re.fullmatch(r"250\n|Total: \$0\.05\n", text)


def test_there_is_no_other_line_of_the_documents() -> None:
    """Each name that the two systems have stands on the left of a row."""
    page = "".join(row.left for row in rows(REPOSITORY / "docs" / "recipes.md") if row.section.startswith("Logging of"))
    names = "setup_logging get_logger LogContext LogLevel handle_errors log_performance set_instance_id set_task_id"
    names += " log_instance_lifecycle log_task_assignment log_resource_usage JSONFormatter ErrorTracker get_log_directory"
    names += " format_error_for_discord log_and_format_error"

    assert [name for name in names.split() if name not in page] == []
