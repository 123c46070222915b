"""``.env`` in the working directory: variables for this process, where the environment does not have them."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.errors import ConfigurationError

FILE = Path(".env")
_logger = logging.getLogger("otel_agentlog")


def read_env_file() -> bool:
    """Put what the file says into the environment, but for what is there already; whether it said anything.

    Not looked for in the folders above: other users may write there. Needs the extra ``dotenv``; without it, a file that is
    there is a warning.

    Raises:
        ConfigurationError: the file is there and cannot be read.
    """
    if not os.path.isfile(FILE):
        return False
    try:
        from dotenv import load_dotenv
    except ImportError:
        raise_interrupt()
        _logger.warning(".env is not read: pip install 'otel_agentlog[dotenv]'")
        return False
    try:
        return load_dotenv(FILE)
    except (OSError, ValueError) as error:
        raise_interrupt()
        raise ConfigurationError(".env", str(FILE.absolute()), f"a file in UTF-8 that can be read ({error})") from None
