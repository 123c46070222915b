"""The former name of `otel_agentlog.tools`; its names work here for one more release."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    import otel_agentlog.tools as tools

    if name in (*tools.__all__, "__all__"):
        return getattr(tools, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
