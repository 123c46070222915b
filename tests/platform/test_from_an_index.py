"""What `pip` installs from an index is the whole package: it runs where there is no checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from otel_agentlog.store.folder.reader import list_tasks
from otel_agentlog.store.validation.validate import validate

CHECKOUT = Path(__file__).parents[2]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Nothing is printed."""


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an index (PEP 503) that has what `hatchling build` makes of the checkout, and nothing else."""
    top = tmp_path_factory.mktemp("index")
    project = top / "simple" / "otel-agentlog"
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(project)], cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL
    )
    links = "".join(f'<a href="{file.name}">{file.name}</a>\n' for file in sorted(project.iterdir()))
    (project / "index.html").write_text(links)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(top))) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}/simple"
        server.shutdown()


@pytest.mark.parametrize("kind", ["--only-binary", "--no-binary"])
def test_it_runs_without_a_checkout(index: str, kind: str, tmp_path: Path) -> None:
    """From the wheel, and from the source distribution; its dependencies are those of this environment."""
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "--isolated", "--disable-pip-version-check", "install", "-q", "--root-user-action=ignore"]
    # What builds the wheel is here, too.
    wanted = ["--no-deps", "--no-build-isolation", "--target", str(site), "--index-url", index, kind, "otel_agentlog"]
    subprocess.run([*pip, *wanted, "otel_agentlog"], check=True, timeout=100)

    installed = {path.relative_to(site) for path in (site / "otel_agentlog").rglob("*") if path.is_file()}
    kept = {path.relative_to(CHECKOUT) for path in (CHECKOUT / "otel_agentlog").rglob("*") if path.is_file()}
    assert {path for path in kept if "__pycache__" not in path.parts} == {p for p in installed if "__pycache__" not in p.parts}

    env = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "AGENTLOG_"))}
    env |= {"PYTHONPATH": str(site), "XDG_STATE_HOME": str(tmp_path / "state"), "HOME": str(tmp_path)}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run = partial(subprocess.run, cwd=elsewhere, env=env, check=True, capture_output=True, text=True, timeout=100)
    where = run([sys.executable, "-c", "import otel_agentlog; print(otel_agentlog.__file__)"]).stdout
    assert Path(where.strip()).is_relative_to(site)
    run([sys.executable, "-m", "otel_agentlog", "demo", "--root", str(tmp_path / "tasks")])
    tasks = list(list_tasks(tmp_path / "tasks"))
    assert tasks
    assert not [problem for task in tasks for problem in validate(task.folder).problems]
    shown = run([sys.executable, "-m", "otel_agentlog", "--root", str(tmp_path / "tasks"), "ls", "--json"]).stdout
    assert len(json.loads(shown)["tasks"]) == len(tasks)
    shutil.rmtree(site)
