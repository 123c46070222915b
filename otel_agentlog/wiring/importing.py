"""What records imported tasks: the cleaning, the conventions and the prices of the settings, with a clock that is set.

Nothing is sent from here. Unless it is asked for, the lines say that they leave elsewhere, so no other process sends them either.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from otel_agentlog._interrupts import raise_interrupt
from otel_agentlog.error_handling.categories import classify
from otel_agentlog.errors import ConfigurationError
from otel_agentlog.export.providers import conventions_of, process_line_of
from otel_agentlog.record.collaborators import Clocks, Failures, Lookups, Spans
from otel_agentlog.record.providers.pricing import PriceTable
from otel_agentlog.record.recorder import Cleaning, Recorder
from otel_agentlog.record.redaction.redactor import Redactor
from otel_agentlog.record.redaction.stream import StreamGuard
from otel_agentlog.record.sanitize.cleaner import Cleaner
from otel_agentlog.settings.fields import Settings
from otel_agentlog.vocabulary.envelope import Envelope, Sink
from otel_agentlog.vocabulary.lines import Line, count_items
from otel_agentlog.wiring.setup import redactor_of

SIGNALS = ("traces", "logs")


def part_cleaning(settings: Settings) -> Callable[[Line], Envelope]:
    """The cleaning step of the settings for parts of lines: what users' processors are for are whole lines.

    Raises `ConfigurationError`: a pattern in the settings cannot be used.
    """
    return Cleaning(Cleaner(_redactor(settings)), private=settings.privacy, failed=Failures().note).line


def import_recorder(
    settings: Settings,
    make_sink: Callable[[Callable[[], Line]], Sink],
    clock: Callable[[], int],
    failures: Failures,
    *,
    send: bool,
) -> Recorder:
    """A recorder for imports.

    Args:
        settings: what is redacted, how spans are named, own prices.
        make_sink: gets what gives the process line of a folder, and gives the one sink.
        clock: the time of what is recorded, in Unix nanoseconds.
        failures: counts what could not be recorded.
        send: whether the lines wait to be sent, by the next process that does.

    Raises:
        ConfigurationError: a pattern or a price in the settings cannot be used.
    """
    redactor = _redactor(settings)
    try:
        prices = PriceTable(settings.prices)
    except (ValueError, TypeError) as error:
        raise_interrupt()
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError("import", "the settings", str(error)) from error
    prices.load()
    cleaner = Cleaner(redactor)
    conventions, elsewhere = conventions_of(settings), () if send else SIGNALS
    resource = {"service.name": settings.service_name}
    count = partial(
        count_items,
        content_policy=conventions.content_policy,
        content_on=conventions.content_on,
        elsewhere=elsewhere,
    )
    return Recorder(
        [make_sink(lambda: cleaner.clean_line(process_line_of(settings, conventions, resource, elsewhere)).value)],
        cleaning=Cleaning(
            cleaner, settings.processors, lambda: StreamGuard(redactor), private=settings.privacy, failed=failures.note
        ),
        spans=Spans(conventions=conventions, count_items=count, light=lambda: True),
        lookups=Lookups(classify, prices),
        clocks=Clocks(clock, clock),
        failures=failures,
    )


def _redactor(settings: Settings) -> Redactor:
    try:
        return redactor_of(settings)
    except (ValueError, TypeError) as error:
        raise_interrupt()
        if isinstance(error, ConfigurationError):
            raise
        raise ConfigurationError("import", "the settings", str(error)) from error
