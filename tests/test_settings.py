"""Settings: what is stronger, what is refused, and that errors name the setting."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import enum
import logging
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import given
from hypothesis import strategies as st

import otel_agentlog as agentlog
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.record.logs.levels import LogSettings
from otel_agentlog.settings.fields import Settings, load, read_config_file
from tests.record.hostile_values import HOSTILE


def test_code_beats_file_beats_environment() -> None:
    """The same setting in three places: the strongest wins."""
    environment = {"LOG_LEVEL": "ERROR", "OTEL_SERVICE_NAME": "env", "TASK_LOGS_DIR": "/from/env"}
    found = load({"log_level": "debug"}, {"log_level": "WARNING", "service_name": "file"}, environment)

    assert (found.log_level, found.service_name, found.directory) == ("DEBUG", "file", Path("/from/env"))


def test_the_root_follows_xdg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a setting the tasks are below the user's state directory."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    assert load({}, environment={}).directory == tmp_path / "agentlog" / "tasks"


@pytest.mark.parametrize(
    ("given_", "environment", "named"),
    [
        ({"log_level": "loud"}, {}, "log_level"),
        ({}, {"AGENTLOG_LOG_LEVEL": "loud"}, "AGENTLOG_LOG_LEVEL"),
        ({"log_level": 60}, {}, "log_level"),
        ({"levels": {"": "DEBUG"}}, {}, "levels"),
        ({"log_max_bytes": "100M"}, {}, "log_max_bytes"),
        ({"log_max_bytes": 10}, {}, "log_max_bytes"),
        ({"protocol": "carrier-pigeon"}, {}, "protocol"),
        ({"endpoint": "localhost:4318"}, {}, "endpoint"),
        ({"shutdown_timeout_s": -1}, {}, "shutdown_timeout_s"),
        ({"queue_size": "many"}, {}, "queue_size"),
        ({"queue_size": True}, {}, "queue_size"),
        ({"levels": "web=LOUD"}, {}, "levels[web]"),
        ({"processors": [1]}, {}, "processors"),
        ({"no_such_setting": 1}, {}, "no_such_setting"),
        ({"service_name": ""}, {}, "service_name"),
        ({"directory": 3}, {}, "directory"),
        ({}, {"AGENTLOG_SEND_DELAY": "soon"}, "AGENTLOG_SEND_DELAY"),
        ({"redaction_patterns": ["(unclosed"]}, {}, "redaction_patterns"),
        ({"prices": {"m": {"input_per_mtok": -1}}}, {}, "prices"),
    ],
)
def test_bad_values_are_refused_by_name(
    given_: dict[str, Any], environment: dict[str, str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says which setting, what was expected and what was found; nothing is half configured."""
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("TASK_LOGS_DIR", str(tmp_path))
    with pytest.raises(ConfigurationError) as refused:
        agentlog.configure(console="off", capture_logging=False, log_directory=tmp_path, **given_)

    assert named in str(refused.value)
    assert "expected" in str(refused.value)


def test_credentials_in_an_endpoint_are_not_repeated() -> None:
    """An error about an endpoint does not show the endpoint."""
    with pytest.raises(ConfigurationError) as refused:
        load({"endpoint": "ftp://user:hunter2@host"})

    assert "hunter2" not in str(refused.value)


def test_a_file_is_read(tmp_path: Path) -> None:
    """agentlog.yaml gives settings by their names."""
    file = tmp_path / "agentlog.yaml"
    file.write_text("service_name: reviewer\nlevels:\n  ai_service: DEBUG\nredaction_keys: [pin]\n")

    found = load({}, read_config_file({"AGENTLOG_CONFIG": str(file)}), {})

    assert (found.service_name, dict(found.levels), found.redaction_keys) == ("reviewer", {"ai_service": "DEBUG"}, ("pin",))


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "a: &x [1]\nb: *x\n", "x" * 100_000])
def test_a_file_that_cannot_be_used_is_refused(text: str, tmp_path: Path) -> None:
    """Lists, broken YAML, anchors and huge files are refused by the file's name."""
    file = tmp_path / "agentlog.yaml"
    file.write_text(text)

    with pytest.raises(ConfigurationError, match=r"agentlog\.yaml"):
        read_config_file({"AGENTLOG_CONFIG": str(file)})


def test_a_named_file_must_be_there() -> None:
    """AGENTLOG_CONFIG that points nowhere is an error, a missing agentlog.yaml is none."""
    with pytest.raises(ConfigurationError, match="AGENTLOG_CONFIG"):
        read_config_file({"AGENTLOG_CONFIG": "/nowhere/agentlog.yaml"})


@given(
    st.dictionaries(st.sampled_from(["LOG_LEVEL", "AGENTLOG_CONTENT", "OTEL_BSP_MAX_QUEUE_SIZE", "AGENTLOG_LEVELS"]), st.text())
)
def test_any_environment_is_read_or_refused(environment: dict[str, str]) -> None:
    """Whatever stands in the environment: settings, or a ConfigurationError, nothing else."""
    with contextlib.suppress(ConfigurationError):
        load({}, environment=environment)


@pytest.mark.parametrize(
    ("environment", "exporter", "protocol"),
    [
        ({}, "none", "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "otlp", "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://c:4318/v1/logs"}, "none", "http/protobuf"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"}, "otlp", "grpc"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, "none", "http/protobuf"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console", "http/protobuf"),
    ],
)
def test_standard_variables_choose_exporter_and_protocol(environment: dict[str, str], exporter: str, protocol: str) -> None:
    """OTEL_* variables decide what is sent and how, per signal."""
    found = load({}, environment=environment)

    assert (found.exporter("traces"), found.protocol_of("traces")) == (exporter, protocol)


WAITED_FOR = ("_interval_s", "_delay_s", "_timeout_s")


class LogLevel(enum.Enum):
    """Levels as an application of its own has them."""

    DEBUG = "debug"
    INFO = 20
    WARNING = 3


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("log_level", 20, "INFO"),
        ("log_level", logging.ERROR, "ERROR"),
        ("log_level", 25, "INFO"),
        ("log_level", 0, "DEBUG"),
        ("log_level", "10", "DEBUG"),
        ("log_level", LogLevel.INFO, "INFO"),
        ("log_level", LogLevel.DEBUG, "DEBUG"),
        ("log_level", LogLevel.WARNING, "WARNING"),
        ("log_level", "warn", "WARNING"),
        ("levels", {agentlog.Component.WEB: LogLevel.DEBUG}, {"web": "DEBUG"}),
        ("levels", {"AI_SERVICE": 30}, {"AI_SERVICE": "WARNING"}),
        ("log_max_bytes", "100MB", 100_000_000),
        ("log_max_bytes", "64 KiB", 65_536),
        ("log_max_bytes", 65_536, 65_536),
        ("max_bytes", "500MB", 500_000_000),
        ("retention_days", "12h", 0.5),
        ("retention_days", "2w", 14.0),
        ("retention_days", datetime.timedelta(days=3), 3.0),
        ("compress_after_days", "1d", 1.0),
        ("catch_up_days", "36h", 1.5),
        ("log_keep_days", "2w", 14),
        ("log_keep_days", "14", 14),
        ("send_delay_s", "500ms", 0.5),
        ("shutdown_timeout_s", "1min", 60.0),
        ("shutdown_timeout_s", datetime.timedelta(seconds=2), 2.0),
        ("resource_interval_s", "200ms", 0.2),
        ("keep_slow_s", "5m", 300.0),
        ("queue_size", "100", 100),
        ("queue_size", 100.0, 100),
        ("redaction_keys", {"pin"}, ("pin",)),
    ],
)
def test_values_are_taken_in_every_usual_form(setting: str, value: Any, expected: object) -> None:
    """Sizes and times with units, levels by number and as members of enumerations."""
    assert getattr(load({setting: value}, environment={}), setting) == expected


@pytest.mark.parametrize("name", [item.name for item in dataclasses.fields(Settings) if item.name.endswith(WAITED_FOR)])
def test_no_time_is_longer_than_a_system_waits(name: str) -> None:
    """Every time that is waited for: a thread or a socket raises for one that is much longer."""
    for value in (1e30, "1e12", "8d", datetime.timedelta.max):
        with pytest.raises(ConfigurationError, match=f"{name}.* at most 604800"):
            load({name: value}, environment={})
    assert getattr(load({name: "7d"}, environment={}), name) == 604_800


@pytest.mark.parametrize("name", [item.name for item in dataclasses.fields(Settings) if item.metadata])
def test_any_object_is_a_value_or_is_refused(name: str) -> None:
    """Objects that raise, lie or are too much; nothing but a ConfigurationError that names the setting leaves."""
    for make in (*HOSTILE.values(), MagicMock):
        if make is HOSTILE["blocking"]:
            continue
        try:
            load({name: make()}, environment={})
        except ConfigurationError as refused:
            assert name in str(refused)  # noqa: PT017 - most are refused, some can be used


def test_a_component_may_be_written_in_any_case() -> None:
    """`AI_SERVICE` is `ai_service`, for loggers too; the exact name is stronger."""
    levels = LogSettings("INFO", {"AI_SERVICE": "DEBUG", "Web": "ERROR", "web": "WARNING", "HTTPX": "ERROR"})

    assert levels.number_for("x", "ai_service") == 10
    assert levels.number_for("x", agentlog.Component.AI_SERVICE) == 10
    assert levels.number_for("x", "web") == 30
    assert levels.number_for("httpx.client", None) == 40
    assert levels.number_for("x", "agent") == 20


def test_a_component_may_be_written_with_hyphens() -> None:
    """Names of loggers may not: they are what they are."""
    levels = LogSettings("INFO", {"AI-Service": "DEBUG", "my-agent": "ERROR", "my_agent": "WARNING", "other-lib": "ERROR"})

    assert levels.number_for("x", "ai_service") == levels.number_for("x", "ai-service") == 10
    assert levels.number_for("x", "my-agent") == 40
    assert levels.number_for("x", "my_agent") == 30
    assert levels.number_for("other_lib", None) == 20
    assert levels.number_for("other-lib.client", None) == 40
