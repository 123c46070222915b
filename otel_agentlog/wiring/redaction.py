"""The redactor of one set-up: made from the settings, made ready in the background, and open about what it lets through."""

from __future__ import annotations

import logging
import threading
from contextlib import suppress

from otel_agentlog.record import Redactor
from otel_agentlog.settings import Settings

_PAUSE_S = 0.03
"""Between pieces of the work, so that it does not take a processor from the agent's own start."""

_logger = logging.getLogger("otel_agentlog")


class Redaction:
    """Makes the redactor that one `configure` asks for."""

    def __init__(self, settings: Settings) -> None:
        """Raises `ConfigurationError` for a pattern or a name that cannot be used."""
        self.redactor = Redactor(
            extra_keys=settings.redaction_keys,
            extra_patterns=settings.redaction_patterns,
            allow=settings.redaction_allow,
            unmask=settings.redaction_unmask,
            personal=settings.redaction_pii,
        )

    def start(self) -> None:
        """Say which rules are switched off, and compile the others so that the first record need not wait for that."""
        if self.redactor.unmasked:
            _logger.warning("redaction rules switched off by redaction_unmask: %s", ", ".join(sorted(self.redactor.unmasked)))
        try:
            threading.Thread(target=self._warm, name="agentlog-redaction", daemon=True).start()
        except RuntimeError:
            pass  # no more threads; the rules are compiled where they are needed

    def _warm(self) -> None:
        # It only saves time. What is wrong with a rule shows, and fails closed, at the first record; at exit it is told to stop.
        with suppress(Exception):
            self.redactor.warm(_PAUSE_S)
