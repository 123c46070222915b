"""The package keeps its shape: imports point one way, folders and functions stay small."""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import pytest

from tests.support.sources import HOME, modules

FLOOR = {"_interrupts", "_platform", "_startup", "vocabulary", "settings", "errors"}
MAY_USE: dict[str, set[str]] = {
    "": {"record", "wiring", "error_handling", "tools", "events"},
    # Alerts are rules of `query`, and are looked at in the process that records, too (docs/decisions/0017).
    "wiring": {"record", "store", "export", "error_handling", "query"},
    "record": set(),
    "store": set(),
    "export": set(),
    "events": {"record"},
    "error_handling": {"record"},
    "tools": {"record", "error_handling", "store"},
    "query": {"store"},
    # `agentlog run` and `agentlog replay` record (docs/decisions/0053, 0078); other libraries' spans are read there (0070).
    "view": {"query", "store", "tools", "export", "demo", "wiring", "record"},
    # It builds what a program builds, but for the network (docs/decisions/0066), and replays tasks (0078).
    "testing": {"record", "store", "export", "wiring", "tools"},
    "__main__": {"view"},
    # The former name of `tools`.
    "run": {"tools"},
    # The demo and the names of other systems are users of the package: they import its public names.
    "demo": {""},
    # Also what only the recording side knows: whose spans tell what a connection records itself.
    "integrations": {"", "record"},
    "compat": {"", "record", "store", "events", "error_handling", "tools", "query", "view", "wiring"},
    **{part: set() for part in FLOOR},
}
OPTIONAL = {
    "rich",
    "textual",
    "fastapi",
    "uvicorn",
    "mcp",
    "yaml",
    "genai_prices",
    "grpc",
    "psutil",
    "apprise",
    "tenacity",
    "stamina",
    "dotenv",
    "datadog",
    "pyarrow",
    "numpy",
    "scipy",
}


@pytest.fixture(autouse=True, scope="module")
def _no_trees_left() -> Iterator[None]:
    yield
    modules.cache_clear()


def _part(module: str) -> str:
    return [*module.split("."), ""][1]


def _imports(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _arrows() -> list[tuple[str, str]]:
    return [
        (each.name, target)
        for each in modules()
        for target in _imports(each.nodes)
        if target == "otel_agentlog" or target.startswith("otel_agentlog.")
    ]


def test_arrows_point_one_way() -> None:
    """No part imports a part that is not below it."""
    wrong = [(a, b) for a, b in _arrows() if _part(b) not in MAY_USE[_part(a)] | FLOOR | {_part(a)}]

    assert wrong == []


def test_nobody_imports_the_public_names() -> None:
    """The public names are for users: inside, nobody imports the package itself."""
    assert [(a, b) for a, b in _arrows() if b == "otel_agentlog" and _part(a) not in ("", "demo", "compat", "integrations")] == []


def test_there_are_no_import_cycles() -> None:
    """Modules that import each other at import time cannot be read alone."""
    graph = {each.name: set[str]() for each in modules()}
    for each in modules():
        targets = {target for node in _at_import_time(each.tree) for target in _modules_imported(ast.walk(node), graph)}
        graph[each.name] = targets - {each.name}
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join([*path[path.index(name) :], name])
        if name in done:
            return
        for target in graph[name]:
            walk(target, (*path, name))
        done.add(name)

    for name in graph:
        walk(name, ())


def test_sub_packages_point_one_way() -> None:
    """Between the sub-packages of a part (``record.logs``, ``record.operations`` …) no imports go round in a circle.

    Those inside functions and under ``TYPE_CHECKING`` count, too: types that go round are read in a circle all the same.
    """
    arrows: dict[str, dict[str, str]] = {}
    known = {each.name for each in modules()}
    for each in modules():
        for target in _modules_imported(each.nodes, known):
            a, b = _sub_package(each.name), _sub_package(target)
            if a != b and _part(a) == _part(b):
                arrows.setdefault(a, {})[b] = f"{each.name} → {target}"

    assert _circle(arrows) == []


def _sub_package(module: str) -> str:
    """``otel_agentlog.record.logs`` for ``otel_agentlog.record.logs.line``; a module directly in a part is its own."""
    return ".".join(module.split(".")[:3])


def _circle(arrows: dict[str, dict[str, str]]) -> list[str]:
    """The imports of one circle among these arrows; none if there is no circle."""
    done: set[str] = set()

    def walk(name: str, path: list[str]) -> list[str]:
        if name in path:
            circle = [*path[path.index(name) :], name]
            return [arrows[a][b] for a, b in itertools.pairwise(circle)]
        if name in done:
            return []
        for target in arrows.get(name, {}):
            if found := walk(target, [*path, name]):
                return found
        done.add(name)
        return []

    return next((found for name in arrows if (found := walk(name, []))), [])


def _modules_imported(nodes: Iterable[ast.AST], known: Collection[str]) -> Iterator[str]:
    """The modules behind the imports; ``from package import module`` is that module, not the package."""
    for found in nodes:
        if isinstance(found, ast.ImportFrom) and found.module in known:
            named = [f"{found.module}.{alias.name}" for alias in found.names]
            yield from (module if module in known else found.module for module in named)


def _at_import_time(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in tree.body:
        guarded = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not guarded and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield node


MOST_ENTRIES = 16
MOST_PARTS = 22
"""The package itself lists its parts."""


def test_no_folder_lists_more_than_one_can_take_in() -> None:
    """A folder that outgrows that wants sub-packages."""
    folders = [path for path in (HOME, *HOME.rglob("*")) if path.is_dir() and path.name != "__pycache__"]
    counts = {folder: sum(path.name not in ("__pycache__", "py.typed") for path in folder.iterdir()) for folder in folders}
    too_many = {folder for folder, count in counts.items() if count > (MOST_PARTS if folder == HOME else MOST_ENTRIES)}

    assert {str(folder.relative_to(HOME)): counts[folder] for folder in too_many} == {}


def test_every_package_begins_with_a_map_of_its_files() -> None:
    """The docstring of each ``__init__.py`` names every module and package beside it, and none that is not there."""
    wrong = {}
    for path in HOME.rglob("__init__.py"):
        folder = path.parent
        entries = {each.name for each in folder.glob("*.py")} - {"__init__.py"}
        entries |= {f"{each.name}/" for each in folder.iterdir() if (each / "__init__.py").exists()}
        text = ast.get_docstring(ast.parse(path.read_text())) or ""
        named = {name for row in re.findall(r"^ *((?:\w+(?:\.py|/) +)+)", text, re.MULTILINE) for name in row.split()}
        if folder != HOME and (entries - named or {name for name in named if not (folder / name).exists()}):
            wrong[str(folder.relative_to(HOME))] = sorted(entries ^ named)

    assert wrong == {}


def test_no_two_public_classes_share_a_name() -> None:
    """A class name means one thing in the whole package."""
    homes: dict[str, list[str]] = {}
    for each in modules():
        for node in each.tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(each.name)

    assert {name: found for name, found in homes.items() if len(found) > 1} == {}


def test_functions_are_small() -> None:
    """No function is longer than 50 lines."""
    long = [
        f"{each.path.name}:{node.lineno} {node.name}"
        for each in modules()
        for node in each.nodes
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (node.end_lineno or 0) - node.lineno >= 50
    ]
    # Long only by the number of their keyword parameters and the sentences about them.
    assert [entry for entry in long if not entry.endswith((" __init__", " task"))] == []


def test_optional_packages_are_imported_where_they_are_used() -> None:
    """Outside ``view`` none of them is imported at the top of a module."""
    found = [
        (each.name, target)
        for each in modules()
        if _part(each.name) not in ("view", "demo")
        for node in _at_import_time(each.tree)
        for target in _imports(ast.walk(node))
        if target.split(".")[0] in OPTIONAL
    ]
    assert found == []


def test_only_export_knows_the_sdk() -> None:
    """``opentelemetry.sdk`` and the exporters are imported in one part."""
    found = {
        _part(each.name)
        for each in modules()
        for target in _imports(each.nodes)
        if target.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))
    }
    assert found <= {"export"}


def test_only_settings_reads_the_environment() -> None:
    """``os.environ`` and ``getenv`` stand in ``settings`` and, as a user would, in the demo."""
    reads = re.compile(r"os\.environ|getenv")
    found = {each.name for each in modules() if reads.search(each.path.read_text()) and reads.search(_code(each.path))}
    assert {name for name in found if _part(name) not in ("settings", "demo")} == set()


def _code(path: Path) -> str:
    """A module's text without docstrings and comments."""
    return ast.unparse(_without_docstrings(ast.parse(path.read_text())))


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]
                item for item in body if not (isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant))
            ] or [ast.Pass()]
    return tree


def test_broad_handlers_say_why() -> None:
    """``except Exception`` has its reason beside it, ``except BaseException`` raises again or says why not."""
    lines = [
        f"{path.relative_to(HOME)}:{number}"
        for path in sorted(HOME.rglob("*.py"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.match(r"\s*except( Exception| BaseException)?( as \w+)?:", line)
        and "# noqa: BLE001" not in line
        and "raise" not in "".join(path.read_text().splitlines()[number : number + 4])
    ]
    assert lines == []


def test_the_core_imports_no_optional_package_and_no_exporter() -> None:
    """Importing and configuring loads neither exporters nor gRPC nor anything optional."""
    program = (
        "import sys, tempfile, otel_agentlog\n"
        "root = tempfile.mkdtemp()\n"
        "otel_agentlog.configure(directory=root, log_directory=root, console='off')\n"
        "with otel_agentlog.task('t'): pass\n"
        "print('\\n'.join(sorted({name.split('.')[0] for name in sys.modules})))\n"
        "print('exporter' if any(n.startswith('opentelemetry.exporter') for n in sys.modules) else '')\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"HOME": "/tmp", "PATH": ""}
    )

    # structlog itself imports rich where that is installed, and the OpenTelemetry SDK psutil.
    unwanted = (OPTIONAL - {"rich", "psutil"}) | {
        "asyncio",
        "exporter",
        "requests",
        "urllib3",
        "google.protobuf",
        "jsonschema_rs",
    }
    assert set(said.stdout.split()) & unwanted == set()


HEAVY = (
    *("asyncio", "structlog", "opentelemetry.sdk.metrics", "urllib3", "google.protobuf", "sqlite3", "ssl", "http.client"),
    *("hashlib", "email", "gzip", "difflib", "otel_agentlog.query.alerts"),
)
MOST_MODULES = 171


def test_configuring_imports_little() -> None:
    """What `configure` does not need is imported when it is used: a count, as times differ between machines.

    ``benchmarks/imports.py`` measures what it costs.
    """
    program = (
        "import sys, tempfile, otel_agentlog\n"
        "root = tempfile.mkdtemp()\n"
        "otel_agentlog.configure(directory=root + '/none', log_directory=root, console='off', recover_on_start=False)\n"
        "print('\\n'.join(sorted(sys.modules)))\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"HOME": "/tmp", "PATH": ""}
    )
    loaded = set(said.stdout.split())

    assert sorted(loaded & set(HEAVY)) == []
    assert len({name for name in loaded if name.startswith("otel_agentlog")}) <= MOST_MODULES


MAKERS_OF_ENVELOPES = {
    "otel_agentlog.record.recorder": "Cleaning.line, which cleans it",
    "otel_agentlog.store.folder.writer": "its own note that a disk is broken, which has no text of a user in it",
}
"""Modules that make one, and why they may."""


def test_only_the_cleaning_step_makes_what_sinks_take() -> None:
    """An envelope is made where a line is cleaned and nowhere else, and given to sinks by the recorder."""
    made = {
        each.name
        for each in modules()
        for node in each.nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Envelope"
    }
    assert made == set(MAKERS_OF_ENVELOPES)
