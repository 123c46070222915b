"""The site: these pages, and a reference made of docstrings. ``.ci/site`` builds it into ``site/``; a warning is an error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from pygments.lexers.special import TextLexer
from sphinx.ext.napoleon import Config, GoogleDocstring

from otel_agentlog import __version__

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]

project = "otel_agentlog"
version = release = __version__
copyright = "the authors of otel_agentlog"

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["_site"]

html_theme = "furo"
html_title = f"otel_agentlog {version}"
html_copy_source = False
html_static_path: list[str] = []

# Links to headings as GitHub makes them.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

# Docstrings have names of code in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": False}


def _begin_with_readme(app: Sphinx, name: str, source: list[str]) -> None:
    """The first page is README, with links as they are from here."""
    if name == "index":
        source[0] = re.sub(r"\]\((?![a-z]+:)([^)#]+)", _link_from_here, (ROOT / "README.md").read_text()) + source[0]


def _link_from_here(link: re.Match[str]) -> str:
    target = link[1]
    if target in ("CHANGELOG.md", "CONTRIBUTING.md"):
        return f"]({target.lower()}"
    return "](" + (target.removeprefix("docs/") if target.startswith("docs/") else f"../{target}")


def _read_docstring(app: Sphinx, what: str, name: str, it: object, options: object, lines: list[str]) -> None:
    """Of a module the first paragraph, as the map of its files follows; of functions and classes sections as Google writes them.

    Not by the extension, which also takes the words before a colon for the type of an attribute.
    """
    if what == "module":
        del lines[lines.index("") if "" in lines else len(lines) :]
    elif what in ("function", "method", "class", "exception"):
        lines[:] = GoogleDocstring(lines, Config(), app, what, name, it, options).lines()


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_lexer("mermaid", TextLexer)
    app.connect("source-read", _begin_with_readme)
    app.connect("autodoc-process-docstring", _read_docstring)
