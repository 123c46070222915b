"""The tests in ``docs/testing.md`` pass as they stand there."""

from __future__ import annotations

from pathlib import Path

from tests.support.documents import REPOSITORY, blocks
from tests.support.pytest_run import run_pytest


def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    """Each block is a file of tests."""
    found = list(blocks(REPOSITORY / "docs" / "testing.md", "python"))
    for number, block in enumerate(found):
        (tmp_path / f"test_{number}.py").write_text(block.text)

    assert f"{sum(block.text.count('def test_') for block in found)} passed" in run_pytest(tmp_path)
