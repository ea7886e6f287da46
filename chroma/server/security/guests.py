"""The guests of a server: callers who were given an address with a ticket, as by `chroma browse`.

Owns: the one token of all guests of a server, which exists in its memory only, and the tickets that are
exchanged for it. A ticket is good for one use within ten minutes. So an address that stays in a history, a
log or a terminal is worth nothing afterwards.
"""

from __future__ import annotations

import threading
import time
from typing import Literal

from ...errors import ChromaAuthError
from .credentials_file import EVERYTHING, Entry, hash_token, new_secret, now

TICKET_SECONDS = 600.0
_MOST_TICKETS = 1000  # that are not used yet; then the oldest ones are worth nothing


class WrongTicket(ChromaAuthError):
    """A ticket was used before, is too old, or never existed."""

    status = 401

    def message(self) -> str:
        """The message. It contains nothing that the client sent."""
        return str(self.args[0])


class Guests:
    """The token of a server's guests, with a role, and the tickets for it."""

    def __init__(self, role: Literal["read", "write", "admin"]) -> None:
        self._token = new_secret()
        self.entry = Entry(
            name="browse",
            kind="token",
            role=role,
            access=(EVERYTHING,),
            secret=hash_token(self._token.encode()),
            created=now(),
        )
        self._tickets: dict[str, float] = {}  # by hash: until when they can be used
        self._lock = threading.Lock()

    def ticket(self) -> str:
        """A new ticket."""
        made = new_secret()
        with self._lock:
            while len(self._tickets) >= _MOST_TICKETS:
                del self._tickets[next(iter(self._tickets))]
            self._tickets[_hashed(made)] = time.monotonic() + TICKET_SECONDS
        return made

    def redeem(self, ticket: str) -> str:
        """The token, in exchange for a ticket. Raises WrongTicket."""
        with self._lock:
            until = self._tickets.pop(_hashed(ticket), None)
        if until is None or until < time.monotonic():
            raise wrong_ticket()
        return self._token


def _hashed(ticket: str) -> str:
    # looked up by hash, so that the timing reveals nothing about tickets
    return hash_token(ticket.encode("utf-8", "surrogatepass"))


def wrong_ticket() -> WrongTicket:
    """The error of a ticket that cannot be exchanged."""
    return WrongTicket(
        "the ticket in this address was used before, is older than ten minutes, or is from another server: "
        "ask for a new address, with `chroma browse` or `client.browse()`"
    )
