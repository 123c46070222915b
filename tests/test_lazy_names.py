"""The public packages whose names are imported when they are first used."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

LAZY = ("otel_agentlog", "otel_agentlog.error_handling", "otel_agentlog.query", "otel_agentlog.tools")


@pytest.mark.parametrize("package", LAZY)
def test_every_name_of_a_lazy_package_is_there(package: str) -> None:
    """Each public name can be had."""
    module = importlib.import_module(package)

    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert list(module.__all__) == sorted(set(module.__all__))


@pytest.mark.parametrize("package", LAZY)
def test_no_module_has_the_name_of_a_public_name(package: str) -> None:
    """The import of a submodule binds its name in the package, where the public name of that name belongs."""
    module = importlib.import_module(package)
    entries = {path.stem for path in Path(str(module.__file__)).parent.iterdir()}
    values = {name: getattr(module, name) for name in entries & set(module.__all__)}

    assert [name for name, value in values.items() if not isinstance(value, ModuleType)] == []


@pytest.mark.parametrize("package", LAZY)
def test_what_is_not_there_is_an_attribute_error(package: str) -> None:
    """As with any module."""
    with pytest.raises(AttributeError, match="nonsense"):
        _ = importlib.import_module(package).nonsense
