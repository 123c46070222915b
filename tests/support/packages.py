"""Hides how a test gets packages that the test environment does not have: installed once into the cache folder of the user.

They are for programs that a test starts (`environment`): what they need may be at odds with what the tests need.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "otel_agentlog"
_PIP = ("-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-warn-conflicts", "--root-user-action=ignore")


def environment(*requirements: str, options: tuple[str, ...] = ()) -> dict[str, str]:
    """Environment variables for a program that imports these packages, and this one, and the tests.

    Skips the test where they cannot be installed; with ``CI=true`` it fails.
    """
    key = hashlib.sha256(repr((requirements, options, sys.version_info[:2])).encode()).hexdigest()[:12]
    place = _CACHE / f"packages-{key}"
    if not place.is_dir():
        _install(place, [*options, *requirements])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(place), str(ROOT)])}


def _install(place: Path, arguments: list[str]) -> None:
    _CACHE.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=_CACHE, prefix=".packages-"))
    # Of the interpreter that environments are made from: one of them may have no pip.
    python = str(Path(sys.base_prefix) / "bin" / "python3") if sys.prefix != sys.base_prefix else sys.executable
    done = subprocess.run([python, *_PIP, "--target", str(made), *arguments], capture_output=True, text=True, timeout=600)
    if done.returncode:
        message = f"pip could not install {' '.join(arguments)}: {done.stderr[-500:]}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    try:
        made.rename(place)
    except OSError:
        assert place.is_dir(), "another process has installed them"
