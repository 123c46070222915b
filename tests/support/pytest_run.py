"""Runs pytest as users do: a process of its own, in a folder with nothing of ours but the installed package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_RUN = """
import importlib.metadata, pytest, sys
known = importlib.metadata.entry_points(group="pytest11", name="agentlog")
sys.exit(pytest.main([*sys.argv[1:], *([] if known else ["-p", "otel_agentlog.testing.pytest_plugin"])]))
"""
"""An installation from before there was a plugin does not know it by its entry point."""

_QUICK = ("-p", "no:schemathesis")

_SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


def run_pytest(folder: Path, *options: str, check: bool = True, all_plugins: bool = True) -> str:
    """Run pytest on a folder, warnings as errors, and return what it printed; with ``check`` all tests have to pass.

    Without ``all_plugins`` that one is left out whose import takes a third of the run (schemathesis).
    """
    (folder / "pytest.ini").write_text(_SETTINGS)
    done = subprocess.run(
        [sys.executable, "-c", _RUN, "-q", "-p", "no:cacheprovider", *([] if all_plugins else _QUICK), *options, str(folder)],
        cwd=folder,
        # Folders of its own for its tests: at its end pytest deletes what other runs have left in the usual place.
        env={"PATH": "", "HOME": str(folder), "PYTHONPATH": str(ROOT), "TMPDIR": str(folder.parent)},
        capture_output=True,
        text=True,
        timeout=110,
    )
    printed = done.stdout + done.stderr
    assert not check or done.returncode == 0, printed
    return printed
