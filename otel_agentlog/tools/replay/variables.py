"""The variables by which a program asks the local server, and records as one that is replayed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from otel_agentlog.tools.replay.forwarding import KEY

URL = "AGENTLOG_REPLAY"
"""The address of the server; `inside.begin` reads it."""
OFFLINE = "AGENTLOG_REPLAY_OFFLINE"
"""``1``: connections to other machines are refused in the program's Python processes."""

SITE = Path(__file__).with_name("site")
_LOCAL = "127.0.0.1,localhost"
_CREDENTIALS = ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE", "ANTHROPIC_CUSTOM_HEADERS")
"""Variables that name another account, or go along with requests."""
_NOT_SENT = ("OTEL_TRACES_EXPORTER", "OTEL_LOGS_EXPORTER", "OTEL_METRICS_EXPORTER")


def of_clients(url: str, given: Mapping[str, str]) -> dict[str, str]:
    """What makes the official clients ask the server. Empty values are those that are to go."""
    proxies = {name: ",".join(filter(None, (given.get(name), _LOCAL))) for name in ("NO_PROXY", "no_proxy")}
    return {
        "ANTHROPIC_BASE_URL": f"{url}/anthropic",
        "OPENAI_BASE_URL": f"{url}/openai/v1",
        # LiteLLM's names.
        "ANTHROPIC_API_BASE": f"{url}/anthropic",
        "OPENAI_API_BASE": f"{url}/openai/v1",
        "ANTHROPIC_API_KEY": KEY,
        "OPENAI_API_KEY": KEY,
        **dict.fromkeys(_CREDENTIALS, ""),
        **proxies,
    }


def of_program(url: str, given: Mapping[str, str], *, offline: bool) -> dict[str, str]:
    """The same for a program that is started; what it records stays on this machine."""
    paths = dict.fromkeys([str(SITE), *filter(None, given.get("PYTHONPATH", "").split(os.pathsep))])
    return {
        **of_clients(url, given),
        **dict.fromkeys(_NOT_SENT, "none"),
        URL: url,
        OFFLINE: "1" if offline else "0",
        "PYTHONPATH": os.pathsep.join(paths),
    }
