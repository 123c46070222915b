"""Hides how the docs are read: their code blocks, and the commands in their tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

FRAGMENT = "<!-- fragment -->"
"""In front of a block of Python that is no complete program."""

_FENCE = re.compile(r"^(?P<mark><!-- fragment -->\n+)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Block:
    """What stands between two fences."""

    page: Path
    line: int
    """Of its first line in the page, from 1."""
    language: str
    text: str
    fragment: bool

    @property
    def name(self) -> str:
        """Where it stands, as ``docs/errors.md:8``."""
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


@dataclass(frozen=True)
class Row:
    """One row of a table with two columns."""

    section: str
    """The headings above it, as ``In code / Errors``."""
    left: str
    right: str

    @property
    def old(self) -> list[str]:
        """The code on the left."""
        return _codes(self.left)

    @property
    def new(self) -> list[str]:
        """The code on the right."""
        return _codes(self.right)


def pages() -> list[Path]:
    """README, CONTRIBUTING and everything in ``docs/``."""
    return [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[Block]:
    """The page's blocks of a language."""
    text = page.read_text()
    return [
        Block(page, text.count("\n", 0, found.start("text")) + 1, language, found["text"], found["mark"] is not None)
        for found in _FENCE.finditer(text)
        if found["language"] == language
    ]


def rows(page: Path) -> list[Row]:
    """The rows of the page's tables that have two columns, without their heads."""
    return list(_rows(page.read_text()))


def _rows(text: str) -> Iterator[Row]:
    headings: dict[int, str] = {}
    head = True
    for line in text.splitlines():
        if heading := re.match(r"(#{2,}) (.*)", line):
            headings = {level: title for level, title in headings.items() if level < len(heading[1])} | {
                len(heading[1]): heading[2]
            }
        if not line.startswith("|"):
            head = True
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if re.fullmatch(r"[|\s:-]+", line):
            head = False
        elif not head and len(cells) == 2:
            yield Row(" / ".join(headings.values()), *cells)


def _codes(cell: str) -> list[str]:
    return [code.replace("\\|", "|") for code in _CODE.findall(cell)]
