"""Prometheus' own checker."""

from __future__ import annotations

import os
import shutil

import pytest


@pytest.fixture
def promtool() -> str:
    """The tool that comes with Prometheus."""
    found = shutil.which("promtool")
    if found is None:
        assert not os.environ.get("CI"), "promtool is missing (Debian package prometheus)"
        pytest.skip("promtool is missing (Debian package prometheus): the alert rules were NOT tested")
    return found
