"""Looking at a directory stays bounded and harmless, whatever is in it and whatever happens to it meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_agentlog.demo import survey
from otel_agentlog.demo.survey import compile_sources, copy_sources, count, printable, problems, read_start, take_survey
from otel_agentlog.demo.toolbox import Index
from tests.support.waiting import wait_until


@given(st.binary(max_size=80).filter(lambda name: b"\0" not in name))
def test_any_name_can_be_printed(name: bytes) -> None:
    """Names of any bytes become text without control characters that is good UTF-8."""
    shown = printable(os.fsdecode(name))

    assert shown.isprintable()
    assert shown.encode().decode() == shown


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), max_size=40))
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    """Only what cannot be shown is changed."""
    assert printable(name) == name


def test_a_walk_ends_at_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Past so many entries it stops and says that it did."""
    monkeypatch.setattr(survey, "MOST_ENTRIES", 10)
    for number in range(30):
        (tmp_path / f"{number:02}.txt").touch()

    found = take_survey(str(tmp_path))

    assert (len(found.files), found.whole) == (10, False)


def test_a_walk_ends_at_its_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is too slow gets no more than its time."""
    monkeypatch.setattr(survey, "LONGEST_WALK_S", -1.0)
    (tmp_path / "a").touch()

    found = take_survey(str(tmp_path))

    assert (found.files, found.whole) == ([], False)


def test_caches_and_version_control_are_left_out(tmp_path: Path) -> None:
    """They are other people's or copies."""
    for name in (".git/config", "__pycache__/a.pyc", "src/a.py", "src/node_modules/b.js"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")

    assert [file.name for file in take_survey(str(tmp_path)).files] == ["src/a.py"]


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/passwd", "", ".", "nothing"])
def test_only_what_was_found_can_be_named(tmp_path: Path, name: str) -> None:
    """A model cannot ask for a file outside the directory."""
    (tmp_path / "top").mkdir()
    (tmp_path / "outside.txt").write_text("x")

    with pytest.raises(FileNotFoundError, match="no such file in the directory"):
        take_survey(str(tmp_path / "top")).find(name)


def test_a_pipe_or_link_put_in_place_of_a_file_is_not_opened(tmp_path: Path) -> None:
    """Between the walk and the reading anything may happen; it is an error then, and never a wait."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/passwd")

    for name in ("pipe", "link"):
        with pytest.raises(OSError):
            read_start(str(tmp_path / name), 10)


def test_files_that_vanish_are_counted_as_unreadable(tmp_path: Path) -> None:
    """The index goes on without them."""
    for name in ("here.py", "gone.py"):
        (tmp_path / name).write_text("# TODO: x\n")
    found = take_survey(str(tmp_path))
    (tmp_path / "gone.py").unlink()

    counts = count(found)

    assert (counts["texts"], counts["todos"], counts["unreadable"]) == (1, 1, 1)


def test_the_index_is_made_when_it_is_missed(tmp_path: Path) -> None:
    """The first reader gets the error of a missing file; later ones get the index."""
    (tmp_path / "scratch").mkdir()
    (tmp_path / "a_test.go").write_text("// TODO: y\n")
    index = Index(take_survey(str(tmp_path)), str(tmp_path / "scratch"))

    with pytest.raises(FileNotFoundError):
        index.read()
    wait_until(lambda: (tmp_path / "scratch" / "index.json").exists(), "the index")

    assert index.read()["todos"] == 1


def test_every_kind_of_problem_is_named(tmp_path: Path) -> None:
    """Bad syntax, bad indentation, NUL bytes and bad encoding are reported as file, line and reason; copies leave no trace."""
    place = tmp_path / "place"
    place.mkdir()
    (place / "good.py").write_text("x = 1\n")
    (place / "syntax.py").write_text("x = 1\ndef f(:\n")
    (place / "indent.py").write_text("\tx = 1\n y = 2\n")
    (place / "nul.py").write_bytes(b"x = 1\n\0")
    (place / "latin.py").write_bytes(b"x = '\xe9'\n")

    copy = copy_sources(take_survey(str(place)), str(tmp_path))
    done = compile_sources(copy)
    found = problems(copy, done.stdout)

    assert done.returncode == 1
    assert [problem.partition(": ")[0].partition(":")[0] for problem in found] == [
        "indent.py",
        "latin.py",
        "nul.py",
        "syntax.py",
    ]
    assert "syntax.py:2: SyntaxError: invalid syntax" in found
    assert not any("0001" in problem or str(tmp_path) in problem for problem in found)
    assert sorted(path.name for path in place.iterdir()) == ["good.py", "indent.py", "latin.py", "nul.py", "syntax.py"]
