"""Names of places that commands are given: a root that is none, outputs that cannot be, and commands to copy."""

from __future__ import annotations

import os
import shlex
from importlib.metadata import metadata
from pathlib import Path

import pytest

import otel_agentlog as agentlog
from otel_agentlog.demo.__main__ import main as demo
from otel_agentlog.view.cli.actions.doctor import EXTRAS
from otel_agentlog.view.cli.main import COMMANDS, main
from tests.view.stories import configure, review

WORDS = {
    **{name: ["x"] for name in ("search", "pause", "resume", "cancel", "note", "import")},
    "context": ["x", "y"],
    "compare": ["x", "y"],
    "diff": ["x"],
    "run": ["--", "true"],
    "replay": ["last", "--", "true"],
    "completion": ["tasks"],
    "serve": ["--port", "0"],
    "collect": ["--port", "0", "--grpc-port", "0"],
    "monitor": ["--text", "--once"],
    "ship": ["--endpoint", "http://localhost:1"],
}


@pytest.mark.parametrize("name", sorted({*COMMANDS} - {"doctor"}))
def test_a_root_that_is_no_folder_is_told(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By every command, as what cannot be used."""
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "file"
    file.write_text("precious")
    (tmp_path / "x").write_text("")
    front = ["--root", str(file), name] if name in ("run", "replay") else [name, "--root", str(file)]

    assert main([*front, *WORDS.get(name, [])]) == 2
    assert f"{file} is not a folder" in capsys.readouterr().err
    assert file.read_text() == "precious"


def test_the_doctor_finds_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Among all else."""
    (tmp_path / "file").write_text("")

    assert main(["doctor", "--no-send", "--root", str(tmp_path / "file")]) == 1
    assert f"{tmp_path}/file is not a folder" in capsys.readouterr().out


OUTPUTS = ("", ".", "..", "new/", "folder", "folder/", "none/x.html")


@pytest.mark.parametrize("name", OUTPUTS)
@pytest.mark.parametrize(
    "words", [["export", "--format", "csv", "-o"], ["dataset", "--of", "calls", "-o"], ["import", "given.jsonl", "--rejects"]]
)
def test_an_output_that_cannot_be_is_told(
    words: list[str], name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was expected and what was found; nothing is made."""
    if words[0] == "dataset" and name == "new/":
        pytest.skip("a folder is what it makes")
    root, place = tmp_path / "tasks", tmp_path / "place"
    configure(root)
    review()
    (place / "folder").mkdir(parents=True)
    (place / "given.jsonl").write_text("{}\n")
    monkeypatch.chdir(place)

    assert main([*words, name, "--root", str(root)]) in (1, 2)
    said = capsys.readouterr().err
    assert "expected" in said
    assert repr(name) in said
    assert "unexpected" not in said
    assert ".part" not in said
    assert sorted(os.listdir(place)) == ["folder", "given.jsonl"]


def test_the_demo_prints_commands_that_can_be_copied(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a root with spaces, too."""
    root = tmp_path / "my $tasks"
    assert demo(["--root", str(root), str(Path(__file__).parent)]) == 0

    lines = [line for line in capsys.readouterr().out.splitlines() if "agentlog " in line and "--root" in line]
    assert len(lines) == 3
    for line in lines:
        assert shlex.split(line)[-1] == str(root)


def test_the_doctor_knows_every_extra() -> None:
    """Those of the package that bring something."""
    extras = metadata("otel_agentlog").get_all("Provides-Extra") or []
    no_parts = {"all", "docs", "dev", "grpc"}

    named = {name for name in extras if name not in no_parts and not name.startswith("test")}
    assert named == set(EXTRAS)


def test_small_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An exit code, a period and an array are told as what they are."""
    root = tmp_path / "tasks"
    root.mkdir()
    assert main(["dataset", "--root", str(root)]) == 0
    assert main(["dataset", "--root", str(root), "-o", str(tmp_path / "data")]) == 1
    assert not (tmp_path / "data").exists()
    with pytest.raises(SystemExit):
        main(["metrics", "--period", "abc"])
    assert "expected minutes, or a period such as 24h, found 'abc'" in capsys.readouterr().err
    configure(root)
    with agentlog.task("no model", input="with content"):
        pass
    agentlog.shutdown()
    assert main(["dataset", "--of", "tasks", "--root", str(root)]) == 0
    assert "left out: 1 without an answer of a model" in capsys.readouterr().err
    (tmp_path / "array.json").write_text("[]")
    assert main(["import", str(tmp_path / "array.json"), "--root", str(root)]) == 1
    assert "found an array with nothing" in capsys.readouterr().err
