"""Rights that a script does not have are refused by the kernel; where it cannot, the script does not run."""

from __future__ import annotations

import socket

import pytest

from otel_agentlog.error_handling.category import ErrorCategory
from tests.tools.workshop import Workshop

CODE = """
import os, socket, sys
def tried(what, *arguments):
    try:
        what(*arguments)
        print("yes")
    except PermissionError:
        print("no")
tried(open, sys.argv[1])
tried(open, sys.argv[2], "w")
tried(open, "own-file", "w")
tried(socket.create_connection, ("127.0.0.1", int(sys.argv[3])))
tried(os.kill, os.getppid(), 0)
"""


def enter(workshop: Workshop, port: int, **sandbox: object) -> None:
    """A script that tries to read, write, connect and signal."""
    outside = workshop.folder.parent / "outside"
    outside.write_text("x")
    (workshop.folder / "tries.py").write_text(CODE)
    program = ["{python}", "-I", "-S", "{here}/tries.py", str(outside), str(outside) + "-new", str(port)]
    workshop.entries["tries"] = {"argv": program, "sandbox": sandbox}


@pytest.mark.parametrize(
    ("sandbox", "expected"),
    [
        ({}, "yes yes yes yes yes"),
        ({"write": []}, "yes no yes yes no"),
        ({"read": []}, "no yes yes yes no"),
        ({"network": False}, "yes yes yes no no"),
        ({"read": [], "write": [], "network": False}, "no no yes no no"),
        ({"read": ["{outside}"], "write": ["{outside}"]}, "yes yes yes yes no"),
    ],
)
def test_what_is_not_allowed_is_refused(workshop: Workshop, sandbox: dict[str, object], expected: str) -> None:
    """Reading, writing and connecting elsewhere; its own folder stays its own."""
    place = str(workshop.folder.parent)
    given = {key: [place] if value == ["{outside}"] else value for key, value in sandbox.items()}
    with socket.create_server(("127.0.0.1", 0)) as server:
        enter(workshop, server.getsockname()[1], **given)

        result = workshop.service().execute("tries")

    if result.error_details is not None:
        # A kernel without Landlock, or an older one: refused as a whole.
        assert result.error_details.category is ErrorCategory.DEPENDENCY
        assert result.error_details.context["cause"] == "no_sandbox"
        return
    said = result.output.split()
    # Signals are confined from Linux 6.12 on.
    assert said[:4] == expected.split()[:4], result.stderr
    assert result.sandboxed is bool(sandbox)


def test_new_privileges_are_never_gained(workshop: Workshop) -> None:
    """A script cannot gain rights by set-user-id programs."""
    workshop.script("status", "#!/bin/sh\ngrep NoNewPrivs /proc/self/status\n")

    assert workshop.service().execute("status").output.split() == ["NoNewPrivs:", "1"]
