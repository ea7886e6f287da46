"""What is known of one request: for the log, the figures and the traces. No bodies, no credentials."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

CURRENT: ContextVar[Exchange | None] = ContextVar("exchange", default=None)  # in its task and its threads
KEY = "chroma"  # where an exchange is in the scope of its request
CLIENT_GONE = 499  # noted as status when nobody waited for the answer any longer

_ID = re.compile(rb"[!-~]{1,128}")
_HEX = re.compile(r"[0-9a-f]{32}")
_PARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


@dataclass(slots=True)
class Exchange:
    """One request and its answer.

    method      as it was sent; HEAD stays HEAD
    route       the template of the path; "" when nothing was found there
    request_id  of the client if it sent a usable one, else `trace_id`
    trace_id    32 hex digits, the number that every answer carries
    status      of the answer; 0 before there is one
    received, sent  bytes of the bodies
    began       time.perf_counter() at the start
    caller      who was recognised, if anybody
    """

    method: str
    request_id: str
    trace_id: str
    began: float = field(default_factory=time.perf_counter)
    route: str = ""
    status: int = 0
    received: int = 0
    sent: int = 0
    caller: str | None = None
    span: Any = None

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return time.perf_counter() - self.began


def begin(method: str, headers: Iterable[tuple[bytes, bytes]]) -> Exchange:
    """An exchange with the ids that the headers give it, or new ones.

    X-Request-Id is taken when it is 1 to 128 printable ASCII characters without spaces. The
    trace id is that of `traceparent`, or of a request id that has 32 hex digits (dashes do not
    count), or new.
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
    trace = trace or os.urandom(16).hex()
    return Exchange(method, given or trace, trace)
