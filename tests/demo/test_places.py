"""The demo reviews whatever directory it is given, and says plainly what it cannot review."""

from __future__ import annotations

import ctypes
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from otel_agentlog.store.validation.validate import validate
from tests.demo.running import TIMEOUT_S, Ran, command, environment, run_demo

_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH = 24, 1, 2


def _without_roots_rights() -> None:
    """In the child: even root may then read only what the modes of a file allow."""
    if os.getuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for capability in (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH):
            assert libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) == 0, os.strerror(ctypes.get_errno())


def _run_without_roots_rights(home: Path, *arguments: str | bytes | Path) -> Ran:
    root = home / "tasks"
    done = subprocess.run(
        command(*arguments, "--root", root),
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        preexec_fn=_without_roots_rights,
    )
    return Ran(done.returncode, done.stdout, done.stderr, root)


def _report(ran: Ran) -> str:
    assert ran.code == 0, ran.err
    assert [problem for folder in ran.folders for problem in validate(folder.path).problems] == []
    report: str = ran.main.final["result"]
    return report


def test_an_empty_directory(tmp_path: Path) -> None:
    """There is nothing to read, and the task completes and says so."""
    (tmp_path / "empty").mkdir()

    ran = run_demo(tmp_path, tmp_path / "empty")

    report = _report(ran)
    assert "| files | 0 in 1 directory |" in report
    assert "There are no tests here." in report
    assert [line["content"] for line in ran.main.of_type("tool_call")] == ["ListFiles", "ReadIndex", "compileall"]


def test_links_pipes_sockets_and_odd_names(tmp_path: Path) -> None:
    """Loops are not followed, pipes not opened, names of any bytes are shown and can be read."""
    place = tmp_path / "odd"
    (place / "sub").mkdir(parents=True)
    (place / "loop").symlink_to(place)
    (place / "sub" / "up").symlink_to("..")
    (place / "dangling").symlink_to("nowhere")
    (place / "passwd").symlink_to("/etc/passwd")
    os.mkfifo(place / "pipe.py")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / "socket"))
    odd = [b"caf\xe9.py", b"new\nline.py", "naïve🙂.py".encode(), b"tab\there.md", b"-rf.py", b"sub/README \x1b[31m.md"]
    for name in odd:
        (place / os.fsdecode(name)).write_bytes(b"x = 1\n")

    ran = run_demo(tmp_path, place)

    report = _report(ran)
    listed = next(line for line in ran.main.of_type("tool_result") if line["content"] == "ListFiles")["details"]["result"][
        "files"
    ]
    read = [line["details"]["arguments"]["path"] for line in ran.main.of_type("tool_call") if line["content"] == "Read"]
    assert {file["path"] for file in listed} == {
        *("caf\\xe9.py", "new\\nline.py", "naïve🙂.py", "tab\\there.md", "-rf.py", "sub/README \\x1b[31m.md")
    }
    assert "sub/README \\x1b[31m.md" in read
    assert "| not looked at | 4 links, 2 special files |" in report
    assert "| syntax problems | 0 in 4 Python files compiled |" in report
    assert "\x1b" not in ran.out


def test_a_path_that_is_not_utf8(tmp_path: Path) -> None:
    """The directory's own name may be any bytes, too; it gets to the worker whole."""
    place = os.fsencode(tmp_path) + b"/\xff\xfe"
    os.mkdir(place)
    (Path(os.fsdecode(place)) / "a.py").write_text("x = 1\n")

    ran = run_demo(tmp_path, place)

    assert "# Review of `\\xff\\xfe`" in _report(ran)
    assert ran.main.document("01-input.json")["input"]["path"].endswith("/\\xff\\xfe")


def test_huge_and_binary_files(tmp_path: Path) -> None:
    """A file of a terabyte costs no more than a small one; binary ones are named as such."""
    place = tmp_path / "huge"
    place.mkdir()
    with (place / "huge.py").open("wb") as file:
        file.truncate(1 << 40)
    with (place / "long.md").open("w") as text:
        text.writelines(f"line {number}\n" for number in range(200_000))
    (place / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0" * 1000)

    ran = run_demo(tmp_path, place)

    report = _report(ran)
    reads = {result["path"]: result for result in ran.main.results_of("Read")}
    assert "| size | 1.0 TiB |" in report
    assert "| syntax problems | 0 in 0 Python files compiled, 1 left out |" in report
    assert len(reads["long.md"]["text"]) == 8192
    assert reads["huge.py"] == {"path": "huge.py", "size_bytes": 1 << 40, "binary": True}


def test_files_that_may_not_be_read(tmp_path: Path) -> None:
    """A tool that may not read fails with the real error, which goes to the model, and the task completes."""
    place = tmp_path / "locked"
    (place / "closed").mkdir(parents=True)
    (place / "closed" / "inside.py").write_text("x = 1\n")
    (place / "README.md").write_text("secret\n")
    (place / "open.py").write_text("x = 1\n")
    (place / "README.md").chmod(0)
    (place / "closed").chmod(0)
    try:
        ran = _run_without_roots_rights(tmp_path, place)
    finally:
        (place / "closed").chmod(0o700)

    report = _report(ran)
    (failed,) = [line for line in ran.main.of_type("tool_result") if line["outcome"] == "failed"]
    parts = [part for line in ran.main.of_type("ai_request") for m in line["details"]["messages"] for part in m["parts"]]
    assert failed["exception"]["type"] == "PermissionError"
    assert "| not looked at | 2 unreadable ones |" in report
    assert any("Permission denied" in str(part.get("response")) for part in parts)
    assert "1 file could not be read." in [line["content"] for line in ran.main.of_type("output")][2]


def test_task_folders_inside_the_directory_are_not_part_of_it(tmp_path: Path) -> None:
    """Task folders below the directory under review are not reviewed."""
    (tmp_path / "a.py").write_text("x = 1\n")
    home = tmp_path / "elsewhere"
    home.mkdir()

    first = subprocess.run(
        command(tmp_path, "--root", tmp_path / "tasks"), env=environment(home), capture_output=True, text=True, timeout=TIMEOUT_S
    )

    assert first.returncode == 0, first.stderr
    ran = Ran(0, first.stdout, first.stderr, tmp_path / "tasks")
    listed = next(line for line in ran.main.of_type("tool_result") if line["content"] == "ListFiles")["details"]["result"][
        "files"
    ]
    assert not [file for file in listed if file["path"].startswith("tasks/")]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("/no/such/place",), "agentlog demo: PATH: expected a directory, found nothing at /no/such/place\n"),
        (("/etc/passwd",), "agentlog demo: PATH: expected a directory, found a file at /etc/passwd\n"),
        ((".", "--seed", "x"), "agentlog demo: argument --seed: invalid int value: 'x'; see agentlog demo --help\n"),
    ],
)
def test_what_cannot_be_reviewed_is_named(tmp_path: Path, arguments: tuple[str, ...], complaint: str) -> None:
    """One line says what was expected and what was found; nothing is recorded."""
    ran = run_demo(tmp_path, *arguments)

    assert (ran.code, ran.out, ran.err) == (2, "", complaint)
    assert not ran.root.exists()


def test_a_root_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Recording never hurts the agent, so it runs; but a demo without a record has failed, and says why."""
    (tmp_path / "tasks").write_text("a file where the folders should go")

    ran = run_demo(tmp_path, tmp_path)

    assert ran.code == 1
    assert f"agentlog demo: nothing was recorded; expected a directory that can be written at {ran.root}\n" in ran.err


def test_modules_in_the_working_directory_are_not_imported(tmp_path: Path) -> None:
    """A directory with a ``json.py`` of its own can be reviewed from inside, by the installed command."""
    script, place = tmp_path / "bin" / "agentlog-demo", tmp_path / "place"
    for directory in (script.parent, place):
        directory.mkdir()
    script.write_text("import sys\nfrom otel_agentlog.demo import main\nsys.exit(main(sys.argv[1:]))\n")
    for name in ("json", "logging", "struct", "runpy", "otel_agentlog", "sitecustomize"):
        (place / f"{name}.py").write_text("raise SystemExit('a stranger was imported')\n")

    done = subprocess.run(
        [sys.executable, script, ".", "--root", tmp_path / "tasks", "--json"],
        cwd=place,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )

    said = json.loads(done.stdout)
    assert (done.returncode, said["success"]) == (0, True), done.stderr
    assert "| syntax problems | 0 in 6 Python files compiled |" in said["result"]
