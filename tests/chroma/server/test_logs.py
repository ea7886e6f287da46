"""Log lines: what they say, what they never say, and that nobody can write them but the server."""

from __future__ import annotations

import base64
import io
import json
import logging
import logging.config
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from chroma.server import run
from chroma.server.observability import logs, request_context
from chroma.server.settings.server_settings import ServerSettings

from .conftest import DATABASE, Api, refused
from .processes import running

HEX = re.compile("[0-9a-f]{32}")


@pytest.fixture
def lines() -> Iterator[Callable[..., list[str]]]:
    """`lines("json")` begins to listen; afterwards it gives what was logged."""
    out = io.StringIO()
    loggers = [logging.getLogger(name) for name in ("chroma", "uvicorn", "")]
    before = [(logger, logger.handlers, logger.level, logger.propagate) for logger in loggers]

    def listen(style: str | None = None, level: str = "info") -> list[str]:
        if style is None:
            loggers[0].handlers[0].flush()
            return out.getvalue().splitlines()
        found = logs.configuration(level, style)
        found["handlers"]["lines"]["stream"] = out
        logging.config.dictConfig(found)
        return []

    yield listen
    for logger, handlers, level, propagate in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def test_a_request_is_one_line(api: Api, things: str, lines: Callable[..., list[str]]) -> None:
    lines("json")
    body = {"query_embeddings": [[1, 2]], "where": {"secret": "word"}}
    answer = api.post(
        f"{things}/query", body, headers={"authorization": "Bearer hush", "x-request-id": "r-1"}
    )
    assert answer.headers["x-request-id"] == "r-1"
    (line,) = map(json.loads, lines())
    assert line["time"].endswith("Z") and line["level"] == "info" and line["logger"] == "chroma.access"
    assert line["method"] == "POST" and line["status"] == 200 and line["id"] == "r-1"
    assert line["route"].endswith("/collections/{collection}/query")
    assert line["in"] == len(answer.request.content) and line["out"] == len(answer.content)
    assert 0 < line["milliseconds"] < 60_000
    assert line["trace"] == answer.headers["chroma-trace-id"]
    assert not {"hush", "secret", "word"} & set(re.findall(r"\w+", json.dumps(line)))


def test_the_same_as_text(api: Api, lines: Callable[..., list[str]]) -> None:
    lines("text")
    answer = api.get("/api/v2/version")
    api.get("/nothing")
    first, second = lines()
    trace = answer.headers["chroma-trace-id"]
    pattern = (
        rf"[-0-9]{{10}}T[:0-9]{{8}}\.\d{{3}}Z INFO GET /api/v2/version 200 [\d.]+ ms in=0 out=\d+ id={trace}"
    )
    assert re.fullmatch(pattern + r" process=\d+", first), first
    assert " GET /nothing 404 " in second


def test_a_path_that_no_route_has(api: Api, lines: Callable[..., list[str]]) -> None:
    lines("json")
    api.get(f"/api/v2/collection/{'x' * 1000}?token=hush")
    api.get("/api/v1/collections")
    api.get("/api/v2/version")
    first, old, known = map(json.loads, lines())
    assert first["path"] == f"/api/v2/collection/{'x' * 1000}"[:100] and first["route"] == ""
    assert old["path"] == "/api/v1/collections" and old["status"] == 410
    assert "path" not in known


def test_warnings_about_settings_are_lines_like_others(tmp_path: Path) -> None:
    """They are known before it is known how to log."""
    with running(tmp_path / "db", "--log-format", "json", env={"CHROMA_PROT": "1"}) as served:
        httpx.get(f"{served.url}/api/v2/version", trust_env=False)
        assert served.ended() == 0
        told = [json.loads(line) for line in served.text().splitlines()]
    assert [line["level"] for line in told] == ["warning", "info", "info", "info"], told
    assert "CHROMA_PROT means nothing here" in told[0]["message"]
    assert told[1]["message"] == f"serving {tmp_path / 'db'} on {served.url}"
    assert told[2]["message"] == f"the console is at {served.url}/console/"
    assert told[3]["route"] == "/api/v2/version"


def test_the_address_is_told_once_to_each_reader(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program reads it from standard output; a person sees both outputs on one terminal."""

    def printed(terminal: bool, **values: Any) -> str:
        monkeypatch.setattr("sys.stdout.isatty", lambda: terminal, raising=False)
        monkeypatch.setattr("sys.stderr.isatty", lambda: terminal, raising=False)
        values = {"log_level": "info", **values}
        logging.getLogger("chroma.server").setLevel(values["log_level"].upper())
        with socket.socket() as listening:
            listening.bind(("127.0.0.1", 0))
            run._announce(listening, ServerSettings(path="db", **values))
        return capsys.readouterr().out

    try:
        assert printed(False).startswith("serving /") and printed(False).count("\n") == 1
        assert printed(True) == printed(False, log_format="json") == printed(True, log_format="json") == ""
        assert printed(True, log_level="warning").startswith("serving /")
    finally:
        logging.getLogger("chroma.server").setLevel(logging.NOTSET)


def test_warnings_before_an_error(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="wrong"), logs.kept():
        logging.getLogger("chroma.server").warning("the first %s", "line")
        raise ValueError("wrong")
    assert capsys.readouterr().err == "the first line\n"


def test_levels(api: Api, lines: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> str:
        raise RuntimeError("a secret\nline")

    monkeypatch.setattr(api.backend, "get_tenant", broken)
    lines("json", "warning")
    api.get("/api/v2/version")
    assert lines() == []
    answer = api.get("/api/v2/tenants/x", headers={"x-request-id": "find-me"})
    refused(answer, 500, "InternalError")
    error, access = map(json.loads, lines())
    assert error["id"] == access["id"] == "find-me" and access["status"] == 500 and access["level"] == "error"
    assert "RuntimeError: a secret" in error["traceback"] and "secret" not in answer.text


@pytest.mark.parametrize(
    "status, level", [(404, "info"), (500, "error"), (501, "info"), (503, "error"), (504, "error")]
)
def test_what_is_not_offered_is_no_failure(lines: Callable[..., list[str]], status: int, level: str) -> None:
    lines("json")
    seen = request_context.begin("GET", [])
    seen.status = status
    logs.observe(seen)
    assert [json.loads(line)["level"] for line in lines()] == [level]


def test_threads_log_for_their_request(
    api: Api, lines: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def chatty(name: str) -> str:
        logging.getLogger("chroma").warning("the disk is slow")
        return name

    monkeypatch.setattr(api.backend, "get_tenant", chatty)
    lines("json")
    api.get("/api/v2/tenants/x", headers={"x-request-id": "mine"})
    said, _ = map(json.loads, lines())
    assert (said["message"], said["id"]) == ("the disk is slow", "mine")


@pytest.mark.parametrize("style", ["text", "json"])
def test_nobody_writes_lines_but_the_server(
    api: Api, lines: Callable[..., list[str]], style: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    evil = "x\r\n2026-01-01T00:00:00.000Z INFO all is well\x1b[31m\x85\u2028\x00"

    def broken(name: str) -> str:
        raise RuntimeError(evil)

    monkeypatch.setattr(api.backend, "get_tenant", broken)
    lines(style)
    logging.getLogger("chroma").warning("read %s", evil)
    api.get("/api/v2/tenants/x", headers={"x-request-id": "a b"})
    api.request("X\x1b", "/%0a%0dINFO")
    text = "\n".join(lines())
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028]", text)
    assert not [line for line in lines() if line.startswith("2026-01-01")]
    if style == "json":
        assert len(lines()) == len([json.loads(line) for line in lines()]) == 4


GOOD_IDS = ("a", "req-1/2:3", "x" * 128, "!~")
BAD_IDS = ("", "x" * 129, "a b", "tab\t", "ü", "a\x7f")


@pytest.mark.parametrize("given", GOOD_IDS)
def test_ids_of_clients_are_kept(api: Api, given: str) -> None:
    answer = api.get("/api/v2", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == given
    assert HEX.fullmatch(answer.headers["chroma-trace-id"])


@pytest.mark.parametrize("given", BAD_IDS)
def test_ids_that_cannot_be_used_are_replaced(api: Api, given: str) -> None:
    answer = api.get("/api/v2", headers={b"x-request-id": given.encode("utf-8")})
    assert answer.headers["x-request-id"] == answer.headers["chroma-trace-id"]


def test_one_number_for_both_where_it_fits(api: Api) -> None:
    given = "0123ABCD-0123-4567-89ab-0123456789ab"
    answer = api.get("/api/v2", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] == given
    assert answer.headers["chroma-trace-id"] == given.replace("-", "").lower()
    parent = "4bf92f3577b34da6a3ce929d0e0e4736"
    answer = api.get("/api/v2", headers={"traceparent": f"00-{parent}-00f067aa0ba902b7-01"})
    assert answer.headers["chroma-trace-id"] == parent
    for wrong in ("00-0-0-0", f"00-{'0' * 32}-00f067aa0ba902b7-01", "x"):
        assert api.get("/api/v2", headers={"traceparent": wrong}).headers["chroma-trace-id"] not in wrong


def test_every_answer_has_them(api: Api) -> None:
    for method, path in (
        ("GET", "/nothing"),
        ("PUT", "/api/v2"),
        ("GET", "/api/v1/x"),
        ("POST", f"{DATABASE}/x"),
    ):
        answer = api.request(method, path)
        assert HEX.fullmatch(answer.headers["chroma-trace-id"])
        assert answer.headers["x-request-id"] == answer.headers["chroma-trace-id"]


def test_the_caller_is_named(
    api: Api, lines: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def known(name: str) -> str:
        seen = request_context.CURRENT.get()
        assert seen is not None
        seen.caller = "ada\n"
        return name

    monkeypatch.setattr(api.backend, "get_tenant", known)
    lines("text")
    api.get("/api/v2/tenants/x", headers={"authorization": "Basic " + base64.b64encode(b"ada:pass").decode()})
    (line,) = lines()
    assert "caller=ada\\n" in line and "pass" not in line


def test_fields_do_not_grow(api: Api) -> None:
    seen: Any = request_context.begin("GET", [])
    assert set(json.loads(logs.JsonLines().format(logging.LogRecord("n", 20, "", 0, "m", None, None)))) == {
        "time", "level", "logger", "message", "process",
    }  # fmt: skip
    assert seen.request_id == seen.trace_id
