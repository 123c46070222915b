"""``python -m tests.examples.update [NAME …]``: write the golden files of these examples, or of all, from what they give now.

Read the difference (``git diff tests/examples/golden``) before you commit it: it is the test.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.examples.running import GOLDEN, golden, names, outcome


def main(wanted: list[str]) -> None:
    """Write the golden files; those of examples that are gone are deleted."""
    for name in wanted or names():
        with tempfile.TemporaryDirectory() as home:
            golden(name).write_text(outcome(name, Path(home).resolve()))
        print(f"wrote {golden(name)}")
    for path in GOLDEN.glob("*.txt"):
        if path.stem not in names():
            path.unlink()


if __name__ == "__main__":
    main(sys.argv[1:])
