"""Log lines, one per request and one per event, as text or as JSON, on standard error.

Each line has the id of its request. Lines contain no bodies, no headers and no credentials. Control
characters are escaped, so that a client can neither forge a line nor send codes to a terminal.
"""

from __future__ import annotations

import json
import logging
import logging.config
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from logging.handlers import MemoryHandler
from typing import Any

import click

from .log_writer import LogWriter
from .request_context import CURRENT, Exchange

_log = logging.getLogger("chroma.server")
_access = logging.getLogger("chroma.access")

_NOT_OFFERED = 501  # not a failure, but a request for an unsupported feature
_kept = MemoryHandler(1000, flushLevel=logging.CRITICAL + 1, flushOnClose=False)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def configuration(level: str, style: str) -> dict[str, Any]:
    """The configuration for logging.config, with one style for this package, the web server and warnings.

    Other libraries log warnings and errors in the same style.
    """
    logger = {"handlers": ["lines"], "level": level.upper(), "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": JsonLines if style == "json" else TextLines}},
        "handlers": {"lines": {"()": LogWriter, "formatter": "lines"}},
        "loggers": {"chroma": logger, "uvicorn": {**logger, "level": _of_web_server(level)}},
        "root": {"handlers": ["lines"], "level": "WARNING"},
    }


def _of_web_server(level: str) -> str:
    """Drop the messages of uvicorn about its start and stop. This package logs these itself."""
    return "WARNING" if level.upper() == "INFO" else level.upper()


@contextmanager
def kept() -> Iterator[None]:
    """Keeps log entries until the settings are read, because the settings say how to log. `start` logs it.

    After an error in the `with` block, the lines go to standard error as they are.
    """
    _kept.buffer.clear()
    logger = logging.getLogger("chroma")
    logger.addHandler(_kept)
    try:
        yield
    except BaseException:
        for record in _kept.buffer:
            click.echo(record.getMessage(), err=True)
        raise
    finally:
        logger.removeHandler(_kept)


def start(level: str, style: str) -> None:
    """Log to standard error from now on, including warnings and errors of threads."""
    logging.config.dictConfig(configuration(level, style))
    for record in _kept.buffer:
        logging.getLogger(record.name).handle(record)
    _kept.buffer.clear()
    logging.captureWarnings(True)
    threading.excepthook = _log_thread_error


def _log_thread_error(error: threading.ExceptHookArgs) -> None:
    name = "?" if error.thread is None else error.thread.name
    if not isinstance(error.exc_value, (SystemExit, type(None))):
        _log.error("the thread %s ended with an error", name, exc_info=error.exc_value)


def observe(seen: Exchange) -> None:
    """Log a request that has ended, at level `info`, or `error` if the server failed."""
    level = logging.ERROR if seen.status >= 500 and seen.status != _NOT_OFFERED else logging.INFO
    if _access.isEnabledFor(level):
        # built directly: the library would look up the caller's line, which takes as long as all the rest
        record = logging.LogRecord(
            _access.name, level, pathname="", lineno=0, msg="request", args=None, exc_info=None
        )
        record.exchange = seen
        _access.handle(record)


def escaped(text: str) -> str:
    """The text on one line, with control characters escaped as \\x1b and the like."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)


class TextLines(logging.Formatter):
    """`2026-01-31T12:00:00.123Z INFO POST /api/v2/… 200 1.2 ms in=100 out=20 id=…`"""

    def format(self, record: logging.LogRecord) -> str:
        """Format as one line, with the lines of a traceback indented below it."""
        begin = f"{_moment(record.created)} {record.levelname} "
        seen: Exchange | None = getattr(record, "exchange", None)
        if seen is not None:
            more = f" trace={seen.trace_id}" if seen.trace_id != seen.request_id else ""
            more += "" if seen.caller is None else f" caller={seen.caller}"
            route = seen.route or seen.unmatched or "-"
            return begin + escaped(
                f"{seen.method} {route} {seen.status} {seen.seconds * 1000:.2f} ms "
                f"in={seen.received} out={seen.sent} id={seen.request_id}{more} process={record.process}"
            )
        seen = CURRENT.get()
        line = f"{record.name}: {record.getMessage()}"
        if seen is not None:
            line += f" id={seen.request_id}"
        lines = [begin + escaped(line)]
        if record.exc_info:
            lines += [f"  {escaped(part)}" for part in self.formatException(record.exc_info).splitlines()]
        return "\n".join(lines)


class JsonLines(logging.Formatter):
    """One JSON object per line: time, level, logger, message, and the request's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Format everything, including tracebacks, as one line."""
        line: dict[str, Any] = {
            "time": _moment(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "process": record.process,
        }
        seen: Exchange | None = getattr(record, "exchange", None)
        if seen is not None:
            line |= _fields(seen)
        elif (seen := CURRENT.get()) is not None:
            line |= {"id": seen.request_id, "trace": seen.trace_id}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)  # escapes everything except ASCII


def _fields(seen: Exchange) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "method": seen.method,
        "route": seen.route,
        **({"path": seen.unmatched} if seen.unmatched else {}),
        "status": seen.status,
        "milliseconds": round(seen.seconds * 1000, 2),
        "in": seen.received,
        "out": seen.sent,
        "id": seen.request_id,
    }
    if seen.trace_id != seen.request_id:
        fields["trace"] = seen.trace_id
    if seen.caller is not None:
        fields["caller"] = seen.caller
    return fields


def _moment(seconds: float) -> str:
    return f"{_second(int(seconds))}.{int(seconds % 1 * 1000):03d}Z"


@lru_cache(4)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
