"""Guests: tickets that are exchanged for a token, once, within ten minutes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from chroma.server.app import create_app
from chroma.server.security import guests as module
from chroma.server.security.guests import Guests
from chroma.server.settings.server_settings import ServerSettings

from .conftest import DATABASE, Api, refused

TICKET = "/api/v2/chroma-arrow/ticket"


class Visited(Api):
    """An application with guests."""

    def __init__(self, folder: Path, guests: Guests) -> None:
        super().__init__(folder)
        self.app = create_app(self.backend, ServerSettings(path=str(folder), allowed_hosts=("test",)), guests)


@pytest.fixture
def guests() -> Guests:
    return Guests("read")


@pytest.fixture
def visited(folder: Path, guests: Guests) -> Visited:
    return Visited(folder, guests)


def test_a_ticket_is_good_for_one_use(visited: Visited, guests: Guests) -> None:
    ticket, other = guests.ticket(), guests.ticket()
    answer = visited.post(TICKET, {"ticket": ticket})
    token = answer.json()["token"]
    assert answer.status_code == 200 and token not in (ticket, other)
    said = refused(visited.post(TICKET, {"ticket": ticket}), 401, "AuthError")
    assert "used before" in said and ticket not in said
    assert visited.post(TICKET, {"ticket": other}).json()["token"] == token
    assert "www-authenticate" not in visited.post(TICKET, {"ticket": "none"}).headers
    path = f"{DATABASE}/collections"
    assert visited.get(path).status_code == 401
    assert visited.get(path, headers={"authorization": f"Bearer {ticket}"}).status_code == 401
    headers = {"authorization": f"Bearer {token}"}
    assert visited.get(path, headers=headers).json() == []
    refused(visited.post(path, {"name": "other"}, headers=headers), 403, "AuthorizationError")


def test_a_ticket_ends(visited: Visited, guests: Guests, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket, late = guests.ticket(), time.monotonic() + 601
    monkeypatch.setattr(module.time, "monotonic", lambda: late)
    refused(visited.post(TICKET, {"ticket": ticket}), 401, "AuthError")


def test_the_oldest_tickets_make_room(guests: Guests, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_TICKETS", 2)
    first, second, third = (guests.ticket() for _ in range(3))
    assert guests.redeem(second) == guests.redeem(third)
    with pytest.raises(module.WrongTicket):
        guests.redeem(first)


def test_a_server_without_guests_takes_no_tickets(api: Api) -> None:
    refused(api.post(TICKET, {"ticket": "x"}), 401, "AuthError")
    for body in ({}, {"ticket": 1}, {"ticket": None}):
        assert "1" not in refused(api.post(TICKET, body), 422, "ChromaError")
    refused(api.post(TICKET, {"ticket": "x" * 5000}), 413, "ChromaError")  # nobody needs credentials for it
    refused(
        api.post(TICKET, {"ticket": "x"}, headers={"origin": "http://evil.example"}),
        403,
        "AuthorizationError",
    )
    refused(api.post(TICKET, {"ticket": "x"}, headers={"host": "evil.example"}), 421, "ChromaError")
    surrogate = api.request(
        "POST", TICKET, content=b'{"ticket": "\\ud800"}', headers={"content-type": "application/json"}
    )
    assert surrogate.status_code == 400
