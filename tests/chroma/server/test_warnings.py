"""Warnings of unmatched keys over HTTP: a header beside the same bodies. Deletes of Chroma's clients work."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

import chroma
from chroma.errors import UnmatchedKeyError
from chroma.wire import warning_header

from ...support import server


@pytest.fixture
def path() -> Any:
    """The URL of a collection with one record."""
    with chroma.HttpClient(server.url()) as client:
        client.reset()
        things = client.create_collection("things", embedding_function=None)
        things.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"status": "new"}])
        base = f"{server.url()}/api/v2/tenants/default_tenant/databases/default_database/collections"
        yield f"{base}/{things.id}"
        client.reset()


def post(url: str, body: dict[str, Any], **headers: str) -> tuple[Any, list[str] | None]:
    response = httpx.post(url, json=body, headers=headers)
    assert response.status_code == 200, response.text
    told = response.headers.get(warning_header.NAME)
    return response, None if told is None else warning_header.decode(told)


def test_reads_have_a_header(path: str) -> None:
    where = {"statsu": "new"}
    for verb, body in [
        ("get", {}),
        ("query", {"query_embeddings": [[1, 2]]}),
        ("chroma-arrow/count", {}),
        ("chroma-arrow/export", {}),
    ]:
        _, told = post(f"{path}/{verb}", body | {"where": where})
        assert told is not None and "'statsu'" in told[0] and "'status'" in told[0], verb
        assert post(f"{path}/{verb}", body | {"where": {"status": "new"}})[1] is None
    _, told = post(f"{path}/search", {"searches": [{"filter": where}]})
    assert told is not None and "'statsu'" in told[0]
    _, told = post(f"{path}/get", {"where": where}, Accept="application/vnd.apache.arrow.stream")
    assert told is not None


def test_a_body_is_the_same_with_a_header(path: str) -> None:
    response, told = post(f"{path}/get", {"where": {"statsu": {"$ne": "new"}}})
    assert told is not None
    assert response.json() == post(f"{path}/get", {})[0].json()


def test_a_delete_without_the_field_is_chromas(path: str) -> None:
    response, told = post(f"{path}/delete", {"where": {"statsu": {"$ne": "new"}}, "limit": 0})
    assert response.json() == {"deleted": 0} and told is not None
    response, told = post(f"{path}/delete", {"where": {"statsu": "new"}, "missing_ok": True})
    assert response.json() == {"deleted": 0} and told is None
    refused = httpx.post(f"{path}/delete", json={"where": {"statsu": "new"}, "missing_ok": False})
    assert refused.status_code == 400
    body = refused.json()
    assert (body["error"], body["kind"]) == ("InvalidArgumentError", UnmatchedKeyError.__name__)
    wrong = httpx.post(f"{path}/delete", json={"where": {"statsu": "new"}, "missing_ok": "yes"})
    assert wrong.status_code == 422


def test_the_header_is_short_and_in_ascii() -> None:
    header = warning_header.encode([f"ключ {n} " + "x" * 1000 for n in range(50)])
    assert header.isascii() and len(header) < 4000 and "\n" not in header
    found = warning_header.decode(header)
    assert found[0].startswith("ключ 0") and "42 more" in found[-1]
    assert warning_header.decode(warning_header.encode(["a", "a"])) == ["a"]


def test_the_header_is_short_for_characters_that_are_long_in_ascii() -> None:
    """Clients and proxies refuse an answer whose header has 8 or 16 kB, and so the read would fail."""
    header = warning_header.encode([str(n) + "\U0001f600" * 299 for n in range(9)])
    assert len(header) < 8000
    assert warning_header.decode(header)[1:] == ["8 more conditions of where match no record"]
    many = warning_header.encode([f"{n} " + "é" * 100 for n in range(8)])
    assert len(many) < 4000 and warning_header.decode(many)[-1].startswith("4 more")


@pytest.mark.parametrize("header", ["", "text", json.dumps({"a": 1}), json.dumps([1])])
def test_a_header_of_another_kind_is_one_message(header: str) -> None:
    assert len(warning_header.decode(header)) == 1
