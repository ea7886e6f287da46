"""Our own clients against the server of Chroma 1.5.9."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import chroma

from ..support import driven
from . import ours
from .environments import reference_server


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with reference_server(tmp_path_factory.mktemp("reference")) as address:
        yield address


def test_http_client(url: str) -> None:
    ours.tour(url, chroma.HttpClient, chroma.AdminClient)


def test_async_http_client(url: str) -> None:
    def administer(settings: Any) -> Any:
        return driven.Driven(driven.run(chroma.AsyncAdminClient(settings)))

    ours.tour(url, driven.HttpClient, administer)
