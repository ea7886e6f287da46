"""The facts about a request that the log, the metrics and the traces use. No bodies, no credentials."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

CURRENT: ContextVar[Exchange | None] = ContextVar("exchange", default=None)  # per task and thread
KEY = "chroma"  # the key of the exchange in the scope of its request
CLIENT_GONE = 499  # the status recorded if the client disconnected before the response

# Ids are no secrets. `os.urandom` releases the interpreter's lock, and waits until other threads return it.
_new_ids = random.Random()  # noqa: S311

_ID = re.compile(rb"[!-~]{1,128}")
_HEX = re.compile(r"[0-9a-f]{32}")
_PARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


@dataclass(slots=True)
class Exchange:
    """One request and its answer.

    method      the method as sent; HEAD stays HEAD
    route       the template of the path; "" if no route matched
    unmatched   the beginning of the path, if no route matched
    request_id  the id that the client sent, if that is usable; otherwise `trace_id`
    trace_id    32 hex digits, sent with every response
    status      the status of the response; 0 before it exists
    received, sent  bytes of the request's and the response's body
    began       time.perf_counter() at the start
    caller      the name of the authenticated caller, if any
    """

    method: str
    request_id: str
    trace_id: str
    began: float = field(default_factory=time.perf_counter)
    route: str = ""
    unmatched: str = ""
    status: int = 0
    received: int = 0
    sent: int = 0
    caller: str | None = None
    span: Any = None

    @property
    def seconds(self) -> float:
        """The seconds since the start."""
        return time.perf_counter() - self.began


def begin(method: str, headers: Iterable[tuple[bytes, bytes]]) -> Exchange:
    """An exchange with the ids from the headers, or with new ids.

    X-Request-Id is used if it is 1 to 128 printable ASCII characters without spaces. The trace id comes from
    `traceparent`. Otherwise it is the request id, if that has 32 hex digits and perhaps dashes. Otherwise it
    is new.
    """
    given = trace = None
    for name, value in headers:
        if name == b"x-request-id" and _ID.fullmatch(value):
            given = value.decode("ascii")
        elif name == b"traceparent" and (parent := _PARENT.fullmatch(value)) and parent[1].strip(b"0"):
            trace = parent[1].decode("ascii")
    if trace is None and given is not None:
        digits = given.replace("-", "").lower()
        trace = digits if _HEX.fullmatch(digits) else None
    trace = trace or f"{_new_ids.getrandbits(128):032x}"
    return Exchange(method, given or trace, trace)
