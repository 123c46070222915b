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


def test_what_was_pickled_under_the_former_name_can_be_read() -> None:
    """Errors that waited in a queue while the package was updated, for one."""
    error = tools.CommandError("no", "failed")
    former = pickle.dumps(error, protocol=0).replace(b"otel_agentlog.tools\n", b"otel_agentlog.run\n")

    assert b"otel_agentlog.run" in former
    assert type(pickle.loads(former)) is tools.CommandError
