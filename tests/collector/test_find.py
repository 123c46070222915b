"""``.ci/collector`` finds a collector in the order it promises, and says no where there is none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.collector import ROOT

SCRIPT = ROOT / ".ci" / "collector"


def _run(tmp_path: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the script with an empty cache and the commands in ``tmp_path/bin`` before all others; Go does not work."""
    _command(tmp_path, "go", "exit 1")
    own = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    return subprocess.run(["bash", str(SCRIPT), *arguments], env={**own, **env}, capture_output=True, text=True, check=False)


def _command(tmp_path: Path, name: str, script: str) -> Path:
    path = tmp_path / "bin" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_the_variable_wins(tmp_path: Path) -> None:
    """``OTELCOL_BIN`` is taken as it is, even where another is on PATH."""
    _command(tmp_path, "otelcol", "exit 0")
    mine = _command(tmp_path, "mine", "exit 1")

    found = _run(tmp_path, OTELCOL_BIN=str(mine))

    assert (found.returncode, found.stdout) == (0, f"{mine}\n")


def test_a_wrong_variable_is_an_error(tmp_path: Path) -> None:
    """A path in ``OTELCOL_BIN`` that cannot be run is never replaced by something else in silence."""
    _command(tmp_path, "otelcol", "exit 0")

    found = _run(tmp_path, OTELCOL_BIN="/no/such/otelcol")

    assert (found.returncode, found.stdout) == (1, "")
    assert "OTELCOL_BIN=/no/such/otelcol is not an executable file" in found.stderr


@pytest.mark.parametrize("name", ["otelcol", "otelcol-contrib"])
def test_one_on_the_path(name: str, tmp_path: Path) -> None:
    """A collector on PATH is taken if it accepts our configuration."""
    _command(tmp_path, "otelcol", "exit 1")
    installed = _command(tmp_path, name, 'test "$1" = validate')

    found = _run(tmp_path)

    assert (found.returncode, found.stdout) == (0, f"{installed}\n")


def test_the_image_is_the_last_resort(tmp_path: Path) -> None:
    """Where Go cannot build, the binary is copied out of the pinned image, once."""
    _command(tmp_path, "otelcol", "exit 1")
    _command(tmp_path, "otelcol-contrib", "exit 1")
    docker = """
        case $1 in
          create) echo "$2" >> "$HOME/created"; echo container ;;
          cp) printf '#!/bin/sh\\n' > "$3"; chmod +x "$3" ;;
        esac"""
    _command(tmp_path, "docker", docker)

    first, second = _run(tmp_path), _run(tmp_path)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert first.stdout == second.stdout
    assert Path(first.stdout.strip()).is_relative_to(tmp_path / "cache")
    assert (tmp_path / "created").read_text() == "otel/opentelemetry-collector-contrib:0.158.0\n"


def test_none_to_be_had(tmp_path: Path) -> None:
    """Without Go and docker the script fails, says why, and leaves no half-built binary behind."""
    for name in ("otelcol", "otelcol-contrib", "docker"):
        _command(tmp_path, name, "exit 1")

    built, cached = _run(tmp_path), _run(tmp_path, "--cached")

    assert (built.returncode, built.stdout, cached.returncode, cached.stdout) == (1, "", 1, "")
    assert "could neither be built nor taken from an image" in built.stderr
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.name != "lock" and path.is_file()]
