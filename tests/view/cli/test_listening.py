"""Where commands listen: addresses that cannot be used."""

from __future__ import annotations

import socket

import pytest

from otel_agentlog.errors import ConfigurationError
from otel_agentlog.view.cli.listening import listen


@pytest.mark.parametrize("option", ["--port", "--http", "--collect-grpc-port"])
def test_a_port_in_use_names_the_option_that_chose_it(option: str, recwarn: pytest.WarningsRecorder) -> None:
    """Each command has its own; and no descriptor is left behind."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"^setting '{option[2:]}': .*{option} 0 takes a free one, found {port}"):
            listen("127.0.0.1", port, option)

    assert [str(each.message) for each in recwarn] == []


@pytest.mark.parametrize("host", ["x" * 70, "a..b", "nowhere.invalid", "192.0.2.1"])
def test_a_host_that_cannot_be_listened_at(host: str) -> None:
    """Whatever is wrong with it."""
    with pytest.raises(ConfigurationError, match=r"^setting 'host': expected an address to listen on"):
        listen(host, 0)
