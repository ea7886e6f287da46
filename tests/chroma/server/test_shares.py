"""What callers share: who may have how much, and what they hear who had to give it up."""

from __future__ import annotations

import asyncio
import types
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request

from chroma.server import run
from chroma.server.http.http1 import Protocol
from chroma.server.http.request_body import Incoming, TooSlow
from chroma.server.limits.fair_shares import Budget, Holder
from chroma.server.limits.transfer_rate import Pace


def holder(caller: str) -> Holder:
    return Holder(caller, Pace(60.0, 1.0))


def test_a_single_request_may_have_all() -> None:
    """A body packed and unpacked may be more than a share, and no wait would ever change that."""
    loop: Any = None
    budget, one = Budget(100), holder("a")
    assert budget.take(one, 50, loop) and budget.take(one, 50, loop)
    assert not budget.take(one, 1, loop)
    assert not budget.take(holder("b"), 1, loop)
    budget.give_back(one)
    first, second = holder("a"), holder("a")
    assert budget.take(first, 40, loop) and budget.take(second, 35, loop)
    assert not budget.take(second, 1, loop), "two of one caller have a share"
    assert not budget.take(first, 1, loop)
    assert budget.take(holder("b"), 25, loop)


def test_who_gave_its_memory_up_hears_why() -> None:
    async def told() -> None:
        async def receive() -> Any:
            raise AssertionError("nothing is read any longer")

        found, budget = holder("a"), Budget(100)
        request = Request({"type": "http", "headers": [], "http_version": "1.1"}, receive)
        incoming = Incoming(request, {}, largest=1000, seconds=60, budget=budget, holder=found)
        found.closed, found.ended_for = True, "others need its memory"
        with pytest.raises(TooSlow, match="others need its memory"):
            await incoming.read()
        with pytest.raises(TooSlow, match="others need its memory"):
            incoming._hold(1)

    asyncio.run(told())


def test_who_waits_for_leave_waits_for_the_server() -> None:
    cycle = types.SimpleNamespace(
        response_complete=False,
        more_body=True,
        body=b"",
        response_started=False,
        waiting_for_100_continue=True,
    )
    spoken: Any = types.SimpleNamespace(
        idle=False, cycle=cycle, flow=types.SimpleNamespace(write_paused=False)
    )
    waits: Any = Protocol.waits_for_client
    assert not waits.fget(spoken)
    cycle.waiting_for_100_continue = False
    assert waits.fget(spoken)


def test_the_loop_is_the_one_that_listens_through_accept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Others, which are taken where they are installed, never call it."""
    seen: dict[str, Any] = {}

    class Seen(Exception):
        pass

    def config(*_: Any, **options: Any) -> None:
        seen.update(options)
        raise Seen

    monkeypatch.setattr(uvicorn, "Config", config)
    monkeypatch.setattr(run, "create_app", lambda *_: None)
    listening: Any = None
    backend: Any = None
    with pytest.raises(Seen):
        run._serve_on(listening, backend, run.ServerSettings(), alone=True)
    assert seen["loop"] == "asyncio"
