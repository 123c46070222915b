"""The examples run, and print and record what their golden files say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.examples.running import GOLDEN, golden, names, outcome

HOW = "if this is as it should be: python -m tests.examples.update, and read the diff"


@pytest.mark.parametrize("name", names())
def test_an_example_gives_what_its_golden_file_says(name: str, tmp_path: Path) -> None:
    """What is printed and every line of its folders and its application log equal the golden file."""
    assert outcome(name, tmp_path.resolve()).splitlines() == golden(name).read_text().splitlines(), HOW


def test_no_golden_file_is_left_behind() -> None:
    """Each golden file belongs to an example."""
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(names())
