"""A chat bot's logging: a rotated JSON log, errors with ids of eight characters, messages for users with nothing of the inside.

from otel_agentlog.compat.error_ids import log_and_format_error, setup_logging

setup_logging()
try:
    result = await operation()
except OperationError as e:
    error_id, message = log_and_format_error(
        logger, error_type="claude_error", message="Operation failed", error=e, channel_id=channel_id
    )
    await channel.send(message)
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import otel_agentlog as agentlog
from otel_agentlog.compat.orchestrator import LogLevel as LogLevel
from otel_agentlog.compat.orchestrator import set_up
from otel_agentlog.error_handling.user_messages import USER_ERROR_TYPES, exception_of, shown_id, user_text
from otel_agentlog.record.exceptions.error_id import Mark, mark_of, new_error_id, put_mark
from otel_agentlog.record.logs.file_formats import flat_row
from otel_agentlog.record.logs.line import adopt, error_of, guarded, here, printed_error, text_of
from otel_agentlog.record.logs.stdlib_bridge import line_of
from otel_agentlog.record.recorder import Recorder
from otel_agentlog.record.sanitize.cleaner import default_cleaner
from otel_agentlog.settings.fields import Settings, home, load, read_config_file
from otel_agentlog.store.app_log import SYSTEM_LOGS, file_stem, is_usable
from otel_agentlog.vocabulary.lines import timestamp

__all__ = [
    "ErrorTracker",
    "JSONFormatter",
    "LogLevel",
    "format_error_for_discord",
    "get_log_directory",
    "log_and_format_error",
    "setup_logging",
]

LOG_NAME = "bot.log"
MAX_BYTES = 10 * 1024 * 1024
BACKUPS = 5

_NEVER_FULL = 1 << 62

_FORMAT_FAILED = '{"level":"ERROR","message":"[record could not be formatted]"}'

_CLAUDE_ERROR = ("Claude Error", "Something went wrong processing your request.", "Please try again or rephrase your message.")


def setup_logging(
    log_level: LogLevel | str | int | None = None,
    log_file: str | os.PathLike[str] | None = None,
    enable_structured: bool = True,
    enable_console: bool = True,
    *,
    log_dir: str | os.PathLike[str] | None = None,
    max_bytes: int | str = MAX_BYTES,
    backup_count: int = BACKUPS,
    privacy: bool = True,
    **settings: Any,
) -> Settings:
    """Set up logging for this process: one rotated JSON log, text on the console, no content of messages and no personal data.

    Args:
        log_level: default: the variable ``LOG_LEVEL``, else INFO.
        log_file: a file, or a folder that is there, for ``bot.log`` in it; default ``bot.log`` in `get_log_directory`.
        enable_structured: JSON in the file, the names given to a call at its top; false: text.
        enable_console: whether lines are shown on stderr, too, as ``date time,ms - logger - LEVEL - message``.
        log_dir: a folder for ``bot.log``, which is made.
        max_bytes: size at which the file is rotated.
        backup_count: rotated files that are kept, plain; 0: it is never rotated.
        privacy: the setting of that name.
        settings: further settings, as `otel_agentlog.configure` takes them; they win.

    Returns:
        The settings in force.

    Raises:
        ConfigurationError: a value that cannot be used.
    """
    folder = settings.pop("log_directory", None) if log_dir is None else log_dir
    rotates = backup_count != 0 and max_bytes != 0
    return set_up(
        {
            "log_level": log_level,
            "log_file": _file(log_file, folder, settings.get("service_name")),
            "log_format": "flat" if enable_structured else "text",
            "log_max_bytes": max_bytes if rotates else _NEVER_FULL,
            "log_backups": backup_count if rotates else BACKUPS,
            "log_compress": False,
            "console": "text" if enable_console else "off",
            "privacy": privacy,
            **settings,
        }
    )


def _file(given: str | os.PathLike[str] | None, folder: str | os.PathLike[str] | None, service: str | None) -> Any:
    if folder is not None:
        return Path(folder) / (LOG_NAME if given is None else given)
    if given is None:
        return get_log_directory(service) / LOG_NAME
    is_folder = isinstance(given, (str, os.PathLike)) and os.path.isdir(given)
    return Path(given) / LOG_NAME if is_folder else given


def get_log_directory(service_name: str | None = None) -> Path:
    """``/var/log/<service>`` if it can be written to, else ``~/.<service>/logs``; the folder is made.

    ``service_name`` is by default what `otel_agentlog.configure` takes.
    """
    name = file_stem(service_name or load({}, read_config_file()).service_name)
    system, own = SYSTEM_LOGS / name, home() / f".{name}" / "logs"
    return system if is_usable(system) or not is_usable(own) else own


class JSONFormatter(logging.Formatter):
    """Makes one redacted JSON object of a record, as ``log_format="flat"`` does. Safe from any thread; never raises."""

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
        return made[0] if made else _FORMAT_FAILED


def format_error_for_discord(
    error_type: str | BaseException | None = None, error_id: str | None = None, *further: Any, **ignored: Any
) -> str:
    """Markdown for a user: what happened in general, what to do, and the id; nothing of the error, whatever else is given.

    The type and the id differ in form. An exception in the place of the type gives its own type.
    """
    if (given := shown_id(error_type)) is not None and given not in USER_ERROR_TYPES and shown_id(error_id) is None:
        error_type, error_id = error_id, given  # the other way round
    error = _exception_among(error_type, *further, ignored.get("error"))
    kind, text = user_text(error, None if exception_of(error_type) is not None else error_type)
    title, what, step = text.title, text.what, text.steps[0]
    if kind in USER_ERROR_TYPES:
        title = kind.replace("_", " ").title()
    if kind == "claude_error":
        title, what, step = _CLAUDE_ERROR
    rows = [f"❌ **{title}**", what, step]
    if (shown := shown_id(error_id)) is not None:
        rows += [f"_Error ID: `{shown}`_", "_Please reference this ID if requesting support._"]
    return "\n".join(rows)


def log_and_format_error(
    *given: Any,
    error_type: str | None = None,
    message: str | None = None,
    error: BaseException | str | None = None,
    stacklevel: int = 1,
    **context: Any,
) -> tuple[str, str]:
    """`otel_agentlog.log_and_format_error` with the message of `format_error_for_discord`; never raises.

    ``log_and_format_error(logger, error_type=…, message=…, error=…, **context)``; the logger may be left out.

    Returns:
        The error's id, and the message for the user.
    """
    level = stacklevel + 1 if type(stacklevel) is int else 2
    if error_type is None:
        error_type = next((each for each in given if type(each) is str and each in USER_ERROR_TYPES), None)
    known = error_type if type(error_type) is str else None
    identity, _ = agentlog.log_and_format_error(
        *given, error_type=known, message=message, error=error, stacklevel=level, **context
    )
    return identity, format_error_for_discord(_exception_among(*given, error) if known is None else known, identity)


def _exception_among(*values: object) -> BaseException | None:
    return next((found for each in values if (found := exception_of(each)) is not None), None)


class ErrorTracker:
    """Gives errors their ids and logs them under these. Safe from any thread."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        """``logger``: where to log, unless a call says."""
        self.logger = logger

    @staticmethod
    def generate_error_id() -> str:
        """Eight of ``0-9a-z`` that no other error has."""
        return new_error_id()

    def log_error_with_id(
        self,
        *given: Any,
        message: str | None = None,
        error: BaseException | None = None,
        error_id: str | None = None,
        error_type: str | None = None,
        logger: Any = None,
        **context: Any,
    ) -> str:
        """Log an error under its id, which is returned; never raises.

        ``given`` are the logger, the message, the exception and the id, in any order, as far as they have no keyword.
        """
        own: Any = self.logger if issubclass(type(self), ErrorTracker) else self  # called on the class, the logger comes first
        texts = [each for each in given if type(each) is str]
        shown = next((found for each in (error_id, *texts) if (found := shown_id(each)) is not None), None)
        message = message if message is not None else next((each for each in texts if each != shown), None)
        among = _exception_among(error, *given)
        logged = agentlog.AgentlogError(text_of(message)) if among is None else among
        if shown is not None and mark_of(logged) is None:
            put_mark(logged, Mark(shown, None))
        others = (each for each in given if type(each) is not str and exception_of(each) is None and each is not None)
        chosen = next(others, own) if logger is None else logger
        context.pop("stacklevel", None)
        return agentlog.log_and_format_error(logged, error_type, logger=chosen, message=message, stacklevel=2, **context)[0]
