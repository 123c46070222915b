"""`FlatFormatter`: for handlers of stdlib ``logging`` that write flat JSON themselves, redacted like everything recorded."""

from __future__ import annotations

import logging

from otel_agentlog.record.exceptions.error_id import mark_of
from otel_agentlog.record.logs.file_formats import flat_row
from otel_agentlog.record.logs.line import adopt, error_of, guarded, here, printed_error
from otel_agentlog.record.logs.stdlib_bridge import line_of
from otel_agentlog.record.recorder import Recorder
from otel_agentlog.record.sanitize.cleaner import default_cleaner
from otel_agentlog.vocabulary.lines import timestamp

_FAILED = '{"level":"ERROR","message":"[record could not be formatted]"}'


class FlatFormatter(logging.Formatter):
    """Makes one JSON object of a record, as ``log_format="flat"`` does. Safe from any thread; never raises."""

    def format(self, record: logging.LogRecord) -> str:
        """The object, without a newline."""
        made: list[str] = []

        def work(recorder: Recorder) -> None:
            line, details = line_of(record)
            place = adopt(here(), details, line)
            if (error := error_of(record.exc_info)) is not None:
                line["exception"] = printed_error(error)
                if (mark := mark_of(error)) is not None:
                    line["exception"]["error_id"] = mark.error_id
            line = {"timestamp": timestamp(int(record.created * 1e9)), **line, "details": details}
            if not recorder.active:
                line = default_cleaner().clean_line(line).value
            envelope = recorder.clean({**line, "attributes": place.attributes})
            envelope.line.update(place.ids)
            made.append(flat_row(envelope.line).decode().rstrip("\n"))

        guarded(work)
        return made[0] if made else _FAILED
