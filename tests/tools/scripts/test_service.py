"""The tool service with real scripts: how each of them ends, what it used, and that nothing of it is left."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from otel_agentlog.error_handling.category import ErrorCategory
from otel_agentlog.tools import ToolResult
from otel_agentlog.vocabulary.states import Outcome
from tests.support.memory import forget_peak, peak_kib
from tests.tools.workshop import Workshop, processes_with

pytestmark = pytest.mark.usefixtures("marked")
ALLOWED = ["PATH", "TEST_MARK"]


def failed_as(result: ToolResult, category: ErrorCategory) -> str:
    """Check that it failed in this category with advice; its message."""
    assert not result.success
    assert result.error_details is not None
    assert result.error_details.category is category
    assert len(result.error_details.suggestions) >= 3
    assert result.error_id is not None
    assert processes_with("AGENTLOG_EXECUTION_ID", result.execution_id) == []
    return result.error_details.message


def test_a_script_that_succeeds(workshop: Workshop) -> None:
    """It gets its inputs as JSON on stdin, runs in a fresh folder, and what it prints is the output."""
    workshop.script("echo", "#!/bin/sh\ncat; echo; pwd; ls -A; echo careful >&2\n", environment=ALLOWED)

    result = workshop.service().execute("echo", {"path": "src", "n": 3}, session_id="s-1", correlation_id="c-1")

    inputs, folder = result.output.splitlines()
    assert (result.success, result.outcome, result.exit_code, result.attempts) == (True, Outcome.COMPLETED, 0, 1)
    assert json.loads(inputs) == {"path": "src", "n": 3}
    assert not os.path.exists(folder)
    assert result.stderr == "careful\n"
    assert (result.session_id, result.correlation_id) == ("s-1", "c-1")
    assert (result.error_details, result.error_id) == (None, None)


def test_a_script_that_exits_with_3(workshop: Workshop) -> None:
    """The category is EXECUTION, and the last thing it said on stderr stands in the message."""
    workshop.script("three", "#!/bin/sh\necho no such branch >&2\nexit 3\n", environment=ALLOWED)

    result = workshop.service().execute("three")

    assert failed_as(result, ErrorCategory.EXECUTION) == "ToolError: three: ended with exit code 3: no such branch"
    assert (result.exit_code, result.attempts) == (3, 1)


def test_a_script_that_prints_garbage(workshop: Workshop) -> None:
    """Bytes that are no UTF-8 are U+FFFD in the output; where JSON was promised they are a VALIDATION error."""
    text = "#!/bin/sh\nprintf '\\377\\376\\000garbage\\200'\n"
    workshop.script("text", text, environment=ALLOWED)
    workshop.script("json", text, environment=ALLOWED, output="json")
    service = workshop.service()

    result = service.execute("text")

    assert result.success
    assert result.output == "\ufffd\ufffd\0garbage\ufffd"
    assert "is not the JSON" in failed_as(service.execute("json"), ErrorCategory.VALIDATION)


def test_a_script_that_promises_json(workshop: Workshop) -> None:
    """What it printed is parsed."""
    workshop.script("json", "#!/bin/sh\necho '{\"found\":[1,2]}'\n", environment=ALLOWED, output="json")

    assert workshop.service().execute("json").data == {"found": [1, 2]}


def test_a_script_that_writes_200_mb(workshop: Workshop) -> None:
    """All of it is read and counted, a little of it kept, and this process stays small."""
    workshop.script("big", "#!/bin/sh\nhead -c 200000000 /dev/zero\necho end\n", environment=ALLOWED, max_output_bytes=10_000)
    forget_peak()
    before = peak_kib()

    result = workshop.service().execute("big")

    assert result.success
    assert result.output_bytes == 200_000_004
    assert result.output.endswith("\0end\n")
    assert "[199990004 bytes left out]" in result.output
    assert len(result.output) < 11_000
    assert peak_kib() - before < 30_000


def test_a_script_that_must_not_print_too_much(workshop: Workshop) -> None:
    """With ``on_too_much_output: stop`` it is ended instead; that is a RESOURCE error."""
    workshop.script(
        "endless", "#!/bin/sh\nexec cat /dev/zero\n", environment=ALLOWED, on_too_much_output="stop", max_output_bytes=1000
    )

    assert "printed more than it may" in failed_as(workshop.service().execute("endless"), ErrorCategory.RESOURCE)


def test_a_script_that_forks_and_hangs(workshop: Workshop) -> None:
    """On timeout all of it ends: children, those in sessions of their own, orphans, and those that ignore SIGTERM."""
    workshop.script(
        "hang",
        "#!/bin/sh\n"
        "sleep 600 &\n"
        "setsid sleep 600 &\n"
        "(setsid sh -c 'trap \"\" TERM HUP; sleep 600; sleep 600' &)\n"
        "(setsid setsid sh -c 'sleep 600 & sleep 600' &)\n"
        "sleep 600\n",
        environment=ALLOWED,
        timeout_s=4,
        grace_s=0.2,
    )

    result = workshop.service().execute("hang")

    assert "its time limit" in failed_as(result, ErrorCategory.TIMEOUT)
    assert result.outcome is Outcome.TIMED_OUT
    assert result.resource_usage.peak_processes >= 5


def test_a_script_that_leaves_a_daemon_behind(workshop: Workshop) -> None:
    """It succeeds, and what it left is ended; its output does not wait for the daemon that holds the pipe."""
    workshop.script("daemon", "#!/bin/sh\n(setsid sleep 600 &)\necho started\n", environment=ALLOWED, grace_s=0.2)

    result = workshop.service().execute("daemon")

    assert (result.success, result.output) == (True, "started\n")
    assert processes_with("AGENTLOG_EXECUTION_ID", result.execution_id) == []


def test_a_script_that_eats_memory(workshop: Workshop) -> None:
    """One process is refused more memory than its limit: RESOURCE."""
    workshop.python("eat", "data = bytearray(300 << 20)\n", environment=ALLOWED, memory_limit_mb=100)

    result = workshop.service().execute("eat")

    assert "MemoryError" in failed_as(result, ErrorCategory.RESOURCE)
    assert (result.resource_usage.memory_peak_mb or 0) < 100


def test_scripts_that_eat_memory_together(workshop: Workshop) -> None:
    """Several processes below the limit each are ended when they are above it together."""
    workshop.python(
        "family",
        "import os, time\n"
        "for _ in range(4):\n"
        "    if os.fork() == 0:\n"
        "        data = bytearray(b'x') * (40 << 20)\n"
        "        time.sleep(600)\n"
        "time.sleep(600)\n",
        environment=ALLOWED,
        memory_limit_mb=100,
        timeout_s=60,
    )

    result = workshop.service().execute("family")

    assert "beyond its memory limit" in failed_as(result, ErrorCategory.RESOURCE)


def test_a_script_whose_interpreter_is_missing(workshop: Workshop) -> None:
    """DEPENDENCY, named: in its first line, by ``env``, as a program, as a package."""
    workshop.script("line", "#!/opt/nonesuch/bin/perl6\n", environment=ALLOWED)
    workshop.script("env", "#!/usr/bin/env nonesuch-perl6\n", environment=ALLOWED)
    workshop.entries["program"] = {"argv": ["nonesuch-program"], "environment": ALLOWED}
    workshop.python("package", "import nonesuch_package\n", environment=ALLOWED)
    service = workshop.service()

    assert "'/opt/nonesuch/bin/perl6' is not there" in failed_as(service.execute("line"), ErrorCategory.DEPENDENCY)
    assert "nonesuch-perl6" in failed_as(service.execute("env"), ErrorCategory.DEPENDENCY)
    assert "nonesuch-program" in failed_as(service.execute("program"), ErrorCategory.DEPENDENCY)
    assert "No module named 'nonesuch_package'" in failed_as(service.execute("package"), ErrorCategory.DEPENDENCY)


def test_a_script_that_lacks_permission(workshop: Workshop) -> None:
    """PERMISSION, for a file without the right to be executed and for a refusal while it runs; never tried again."""
    workshop.script("mode", "#!/bin/sh\n", mode=0o644, environment=ALLOWED, retries=3)
    workshop.python("refused", "raise PermissionError('Permission denied')\n", environment=ALLOWED, retries=3)
    service = workshop.service()

    not_executable, refused = service.execute("mode"), service.execute("refused")

    assert "EACCES" in failed_as(not_executable, ErrorCategory.PERMISSION)
    assert "Permission denied" in failed_as(refused, ErrorCategory.PERMISSION)
    assert (not_executable.attempts, refused.attempts) == (1, 1)


def test_a_script_that_fails_twice_then_succeeds(workshop: Workshop) -> None:
    """Three attempts, the reasons of the first two, and the resources of all three."""
    count = workshop.folder / "count"
    workshop.script(
        "flaky",
        f"#!/bin/sh\necho x >> {count}\n[ $(wc -l < {count}) -ge 3 ] || {{ echo not yet >&2; exit 1; }}\necho done\n",
        environment=ALLOWED,
        retries=4,
        retry_wait_s=0.01,
    )

    result = workshop.service().execute("flaky")

    assert (result.success, result.attempts, result.output) == (True, 3, "done\n")
    assert [error.message for error in result.earlier_errors] == ["ToolError: flaky: ended with exit code 1: not yet"] * 2


@pytest.mark.parametrize(
    ("ending", "category", "retried"),
    [
        ("exit 64", ErrorCategory.VALIDATION, False),
        ("echo 'usage: x FILE' >&2; exit 2", ErrorCategory.VALIDATION, False),
        ("echo 'curl: (7) Connection refused' >&2; exit 7", ErrorCategory.DEPENDENCY, True),
        ("exit 75", ErrorCategory.EXECUTION, True),
        ("echo 'No space left on device' >&2; exit 1", ErrorCategory.RESOURCE, False),
        ("nonesuch-command", ErrorCategory.DEPENDENCY, False),
        ("kill -SEGV $$", ErrorCategory.EXECUTION, False),
        ("kill -KILL $$", ErrorCategory.RESOURCE, False),
    ],
)
def test_what_a_script_says_decides_about_its_category(
    workshop: Workshop, ending: str, category: ErrorCategory, retried: bool
) -> None:
    """Exit codes, signals and well-known words are understood; what cannot succeed is not tried again."""
    workshop.script("ends", f"#!/bin/sh\n{ending}\n", environment=ALLOWED, retries=1, retry_wait_s=0)

    result = workshop.service().execute("ends")

    failed_as(result, category)
    assert result.attempts == (2 if retried else 1)


def test_a_file_without_a_first_line(workshop: Workshop) -> None:
    """The kernel cannot execute it, and that is said."""
    workshop.script("plain", "echo hello\n", environment=ALLOWED)

    assert "ENOEXEC" in failed_as(workshop.service().execute("plain"), ErrorCategory.EXECUTION)


class Odd(dict[str, int]):
    """A mapping that raises whatever is asked of it."""

    def items(self) -> Any:
        raise KeyError("hunter2")


def nested(depth: int) -> dict[str, Any]:
    """Lists in lists."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return {"n": value}


def test_inputs_that_do_not_fit(workshop: Workshop) -> None:
    """Nothing is started; each place is named, texts are not repeated."""
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 5}}, "additionalProperties": False}
    trace = workshop.folder / "started"
    workshop.script("strict", f"#!/bin/sh\ntouch {trace}\n", environment=ALLOWED, input_schema=schema)
    service = workshop.service()

    results = [
        service.execute("strict", {"n": 7, "other": "hunter2"}),
        service.execute("strict", {"n": "seven hunter2"}),
        service.execute("strict", {"n": float("nan")}),
        service.execute("strict", [1]),  # type: ignore[arg-type]
        service.execute("strict", Odd(n=1)),
        *(service.execute("strict", nested(depth)) for depth in (101, 500, 900, 100_000)),
        service.execute("nonesuch"),
        service.execute(["strict"]),  # type: ignore[arg-type]
    ]

    messages = [failed_as(result, ErrorCategory.VALIDATION) for result in results]
    assert (
        messages[0] == "ToolError: strict: inputs.n: expected at most 5, found number 7; inputs.other: not expected; known are n"
    )
    assert "hunter2" not in "".join(messages)
    assert {result.attempts for result in results} == {0}
    assert not trace.exists()


def test_inputs_in_the_environment(workshop: Workshop) -> None:
    """``inputs_by: environment`` gives ``INPUT_<NAME>``; what is no text is JSON; too much is refused."""
    workshop.script("env", "#!/bin/sh\nenv | grep ^INPUT_ | sort\n", environment=ALLOWED, inputs_by="environment")
    service = workshop.service()

    result = service.execute("env", {"path name": "a b", "n": [1, 2]})

    assert result.output == "INPUT_N=[1, 2]\nINPUT_PATH_NAME=a b\n"
    assert "too large" in failed_as(service.execute("env", {"x": "y" * 200_000}), ErrorCategory.VALIDATION)
    assert "two inputs" in failed_as(service.execute("env", {"a b": 1, "a-b": 2}), ErrorCategory.VALIDATION)


def test_only_allowed_variables_reach_a_script(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not on the list stays here."""
    monkeypatch.setenv("ANOTHER_SECRET", "x")
    workshop.script("env", "#!/bin/sh\nenv | cut -d= -f1 | sort\n", environment=ALLOWED)

    names = workshop.service().execute("env").output.split()

    assert set(names) - {"PWD", "OLDPWD", "SHLVL", "_"} == {"AGENTLOG_EXECUTION_ID", "HOME", "PATH", "TEST_MARK", "TMPDIR"}


def test_a_working_directory_that_is_not_there(workshop: Workshop) -> None:
    """VALIDATION, with the folder's name."""
    workshop.script("lost", "#!/bin/sh\n", environment=ALLOWED, cwd="nowhere")

    assert "nowhere" in failed_as(workshop.service().execute("lost"), ErrorCategory.VALIDATION)
