"""The front door: exactly the public names, sorted, each with a docstring."""

from __future__ import annotations

import otel_agentlog


def test_the_list_of_names_is_sorted_and_complete() -> None:
    """``__all__`` is sorted, without doubles, and every name is there."""
    assert list(otel_agentlog.__all__) == sorted(set(otel_agentlog.__all__))
    for name in otel_agentlog.__all__:
        assert getattr(otel_agentlog, name) is not None


def test_every_public_name_says_what_it_is() -> None:
    """Functions, classes and errors have docstrings."""
    assert [
        name
        for name in otel_agentlog.__all__
        if name != "__version__" and not (getattr(otel_agentlog, name).__doc__ or "").strip()
    ] == []
