"""Valid folders, changed at random in bytes, lines and files: every command goes on, ends soon, leaves other tasks alone."""

from __future__ import annotations

import io
import random
import re
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_agentlog.errors import AgentlogError
from otel_agentlog.view.cli.main import COMMANDS, main

LONGEST_S = 10.0
"""Time of the processor that one command may take."""

Pick = random.Random

EXTREMES = (b"1e308", b"-1e308", b"1e303", b"1e999", b"9" * 400, b"9" * 18, b"-" + b"9" * 18)
"""Numbers that are valid JSON and, times a thousand or a million, no float or no integer of 64 bits."""


def _flip(data: bytes, pick: Pick) -> bytes:
    changed = bytearray(data)
    for _ in range(pick.randint(1, 8)):
        if changed:
            changed[pick.randrange(len(changed))] = pick.randrange(256)
    return bytes(changed)


def _cut(data: bytes, pick: Pick) -> bytes:
    return data[: pick.randint(0, len(data))]


def _drop(data: bytes, pick: Pick) -> bytes:
    begin = pick.randint(0, len(data))
    return data[:begin] + data[begin + pick.randint(0, 200) :]


def _repeat(data: bytes, pick: Pick) -> bytes:
    lines = data.splitlines(keepends=True)
    return b"".join(line * pick.choice((1, 1, 1, 2, 0)) for line in lines)


def _shuffle(data: bytes, pick: Pick) -> bytes:
    lines = data.splitlines(keepends=True)
    pick.shuffle(lines)
    return b"".join(lines)


def _swap_values(data: bytes, pick: Pick) -> bytes:
    values = (b"null", b"-1", *EXTREMES, b'""', b"[]", b"{}", b"true", b'"\\u001b[31m"', b"[" * 300 + b"]" * 300)
    parts = data.split(b",")
    for _ in range(pick.randint(1, 5)):
        at = pick.randrange(len(parts))
        key, colon, _ = parts[at].partition(b":")
        parts[at] = key + colon + pick.choice(values)
    return b",".join(parts)


def _insert(data: bytes, pick: Pick) -> bytes:
    at = pick.randint(0, len(data))
    return data[:at] + pick.choice((b"\0" * 50, b"\n", b"\xff\xfe", b'{"timestamp":"', pick.randbytes(40))) + data[at:]


MUTATIONS: tuple[Callable[[bytes, Pick], bytes], ...] = (_flip, _cut, _drop, _repeat, _shuffle, _swap_values, _insert)


def mutate(folder: Path, pick: Pick) -> None:
    """Change some files of a folder, delete one, or put one in another's place."""
    for _ in range(pick.randint(1, 3)):
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        if not files:
            return
        file, how = pick.choice(files), pick.random()
        if how < 0.08:
            file.unlink()
        elif how < 0.16:
            shutil.copy(pick.choice(files), folder / f".{file.name}.copied")
            (folder / f".{file.name}.copied").replace(file)
        else:
            file.write_bytes(pick.choice(MUTATIONS)(file.read_bytes(), pick))


def commands(task: str, other: str, out: Path) -> dict[str, list[list[str]]]:
    """Words for every command; those that never end, or ask of the network, with what makes them end."""
    return {
        "ls": [["ls", "--limit", "0"], ["ls", "--ids"], ["ls", "--failed", "--order", "costliest", "--json"]],
        "search": [["search", "review"]],
        "stats": [["stats"], *(["stats", "--group-by", key] for key in ("agent", "day", "model", "tool"))],
        "cost": [["cost"]],
        "recost": [["recost"]],
        "top": [["top"]],
        "metrics": [["metrics", "--report"], ["metrics", "--current"], ["metrics", "--prometheus"]],
        "show": [["show", task], ["show", task, "--full", "--json"]],
        "tail": [["tail", task, "--full"]],
        "errors": [["errors"], ["errors", "deadbeef"]],
        "alerts": [["alerts", "--since", "2020-01-01"]],
        "diff": [["diff", task, other]],
        "compare": [["compare", task, other], ["compare", "", "status:failed", "--no-intervals"]],
        "export": [["export", task, "--format", kind, "--output", str(out / kind)] for kind in ("html", "csv", "json", "otlp")],
        "dataset": [
            ["dataset", "--of", of, "--shape", shape, "-o", str(out / f"{of}-{shape}"), "--test", "0.5"]
            for of in ("calls", "tasks")
            for shape in ("openai", "anthropic", "cases")
        ],
        "import": [],
        "validate": [["validate"]],
        "ship": [["ship", task, "--dry-run"]],
        "note": [["note", task, "a remark", "--score", "quality=0.5"]],
        "pause": [["pause", task]],
        "resume": [["resume", task]],
        "cancel": [["cancel", task]],
        "context": [["context", task, "a word"]],
        "recover": [["recover"]],
        "prune": [["prune", "--dry-run"]],
        "serve": [],
        "mcp": [],
        "collect": [],
        "run": [],
        "replay": [],
        "monitor": [["monitor", task, "--text", "--once"], ["monitor", "--text", "--once"]],
        "doctor": [],
        "completion": [["completion", "bash"]],
    }


@given(seed=st.integers(0, 2**32))
@settings(max_examples=12, deadline=None)
def test_every_command_bears_any_mutation(stories: Path, tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    """No traceback, no hang, and nothing of another task is lost."""
    pick, root = random.Random(seed), tmp_path_factory.mktemp("mutated") / "tasks"
    shutil.copytree(stories, root, ignore=shutil.ignore_patterns(".*"))
    names = sorted(folder.name for folder in root.iterdir() if folder.is_dir())
    victim = pick.choice(names)
    others = {file: file.read_bytes() for name in names if name != victim for file in (root / name).glob("*.jsonl")}
    mutate(root / victim, pick)
    asked = commands(str(root / victim), str(root / pick.choice(names)), root.parent)
    assert asked.keys() == COMMANDS.keys()
    for words in (each for found in asked.values() for each in found):
        _run([*words, "--root", str(root), "--debug"], f"seed {seed}: {' '.join(words)}")
    for file, before in others.items():
        assert file.read_bytes().startswith(before), (seed, file)
    shutil.rmtree(root.parent, ignore_errors=True)


@pytest.mark.parametrize("extreme", EXTREMES, ids=["1e308", "-1e308", "1e303", "infinite", "400 digits", "18 digits", "less"])
def test_every_command_bears_any_number(stories: Path, tmp_path: Path, extreme: bytes) -> None:
    """All numbers of a task are this one, in all of its files."""
    root = tmp_path / "tasks"
    shutil.copytree(stories, root, ignore=shutil.ignore_patterns(".*"))
    names = sorted(folder.name for folder in root.iterdir() if folder.is_dir())
    for file in (each for name in names[:-1] for each in (root / name).rglob("*") if each.is_file()):
        file.write_bytes(re.sub(rb'(?<=":)-?[0-9.]+(?:e[-+]?[0-9]+)?(?=[,}])', lambda _: extreme, file.read_bytes()))
    for name in names[:-1]:
        for words in (each for found in commands(str(root / name), str(root / names[-1]), tmp_path).values() for each in found):
            _run([*words, "--root", str(root), "--debug"], f"{name}: {' '.join(words)}")


def _run(words: list[str], what: str) -> None:
    began, printed = time.process_time(), io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    try:
        with redirect_stdout(printed):
            code = main(words)
    except SystemExit as error:
        code = int(str(error.code))
    except (AgentlogError, OSError):
        code = 1  # told in one line without --debug
    except Exception as error:
        error.add_note(what) if sys.version_info >= (3, 11) else print(what, file=sys.stderr)
        raise
    assert code in (0, 1, 2), what
    assert time.process_time() - began < LONGEST_S, what
