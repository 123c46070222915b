"""The application keeps what its own OpenAPI promises, whatever is asked."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.specs.openapi.checks import positive_data_acceptance

from otel_agentlog.view.server import Limits, create_app
from tests.view.server.conftest import TOKEN

GOOD = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def api(stories: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The interface over tasks of every kind, with streams that end soon."""
    root = tmp_path_factory.mktemp("contract") / "tasks"
    shutil.copytree(stories, root)
    # An id that is often tried, so that more is asked of tasks that are there.
    (root / "task-review42").rename(root / "0")
    # The tool takes 413 and 414 for no refusal.
    limits = Limits(stream_seconds=0.05, poll_seconds=0.01, query_bytes=10**6, path_bytes=10**6, body_bytes=10**7)
    app = create_app(root, token=TOKEN, allow_control=True, allow_hosts=["testserver"], limits=limits)
    return schemathesis.openapi.from_asgi("/api/openapi.json", app, headers=GOOD)


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_every_answer_is_as_described(api: Any, mode: schemathesis.GenerationMode) -> None:
    """No failure of the server, no status, media type or shape that OpenAPI does not name; for good requests and for bad."""
    operations = [found.ok() for found in api.get_all_operations()]
    for operation in operations:
        _try(operation, mode)

    assert len(operations) > 15


def _try(operation: Any, mode: schemathesis.GenerationMode) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def holds(case: Any) -> None:
        # A date such as 2026-02-31 has the form of one and is refused.
        case.call_and_validate(headers=GOOD, excluded_checks=[positive_data_acceptance])

    try:
        holds()
    except Unsatisfiable:
        assert mode is schemathesis.GenerationMode.NEGATIVE, "only without parameters there is nothing to ask wrongly"
