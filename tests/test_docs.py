"""The docs cannot drift: settings, files and commands are named where users look for them."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

from otel_agentlog.settings.fields import Settings
from tests.support.documents import blocks

ROOT = Path(__file__).resolve().parents[1]


def test_every_setting_is_documented() -> None:
    """docs/settings.md names every setting and every variable that we read."""
    text = (ROOT / "docs" / "settings.md").read_text()
    for item in dataclasses.fields(Settings):
        if item.metadata:
            assert f"| `{item.name}` |" in text
            assert all(f"`{variable}`" in text for variable in item.metadata["variables"])


def test_links_in_the_docs_lead_somewhere() -> None:
    """Every relative link of README, CONTRIBUTING and docs/ is a file."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.name}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_the_example_in_the_readme_runs(tmp_path: Path) -> None:
    """README's Python example, as it stands there, makes a task that completes."""
    example = blocks(ROOT / "README.md", "python")[0].text
    env = {**os.environ, "TASK_LOGS_DIR": str(tmp_path / "tasks"), "AGENTLOG_LOG_DIR": str(tmp_path / "logs")}
    subprocess.run([sys.executable, "-W", "error", "-c", example], cwd=ROOT, env=env, check=True)

    (folder,) = (tmp_path / "tasks").iterdir()
    assert '"success":true' in (folder / "04-final-result.json").read_text()


def test_the_readme_leads_to_every_page() -> None:
    """Nobody has to guess that a page of docs/ exists."""
    text = (ROOT / "README.md").read_text()
    # What is README itself, or a file beside it, on the site.
    pages = [page for page in (ROOT / "docs").glob("*.md") if not page.read_text().startswith("```{")]
    assert [page.name for page in pages if f"(docs/{page.name})" not in text] == []


def test_the_architecture_names_what_is_there() -> None:
    """Every path in docs/architecture.md exists."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    named = set(re.findall(r"`((?:otel_agentlog|tests|docs)/[\w/.-]*)`", text))

    assert len(named) > 40
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_the_docs_cite_nothing_from_outside() -> None:
    """No page names a document that is not in the repository."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    cited = re.compile(r"\bDESIGN\b|\.\./shared|shared/(seeds|reference|cases)")

    assert [page.name for page in pages if cited.search(page.read_text())] == []


def test_the_numbers_of_decisions_are_their_own() -> None:
    """No two files in docs/decisions have one number, and each says its own at its head."""
    pages = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    numbers = [int(page.name[:4]) for page in pages]
    assert len(set(numbers)) == len(numbers)
    assert [page.name for page in pages if not re.match(rf"# 0*{int(page.name[:4])}\b", page.read_text())] == []


def test_the_readme_says_what_ci_runs() -> None:
    """`.ci/run` calls README's test command."""
    (command,) = re.findall(r"&& (\.venv/bin/python -m pytest.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert f"\n{command}\n" in (ROOT / ".ci" / "run").read_text()
