"""`otel_agentlog.run`, the former name of `otel_agentlog.tools`."""

from __future__ import annotations

import importlib
import pickle

import pytest

import otel_agentlog.tools as tools


def test_the_former_name_gives_the_same_objects() -> None:
    """Each public name, by attribute and by ``from … import``, and nothing else."""
    run = importlib.import_module("otel_agentlog.run")
    gained: dict[str, object] = {}
    exec("from otel_agentlog.run import *", gained)

    assert {name: getattr(run, name) is getattr(tools, name) for name in tools.__all__} == dict.fromkeys(tools.__all__, True)
    assert set(tools.__all__) <= set(gained)
    with pytest.raises(AttributeError, match="commands_"):
        _ = run.commands_
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("otel_agentlog.run.commands")


def test_errors_keep_the_name_under_which_they_are_recorded() -> None:
    """It is in folders and dashboards; what was pickled under it can be read."""
    error = tools.CommandError("no", "failed")

    assert f"{type(error).__module__}.{type(error).__qualname__}" == "otel_agentlog.run.CommandError"
    assert type(pickle.loads(pickle.dumps(error))) is tools.CommandError
