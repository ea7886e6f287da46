"""Requests generated from the OpenAPI document: the server never fails, and answers as it says.

Fixed examples, so that a failure is the same everywhere. Both kinds of input are made: what the
document allows, and what it does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from chroma.server import openapi
from chroma.server.http.http1 import Protocol

from ...support import scratch
from .conftest import Api
from .sockets import listening

CHECKS = (
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
_target: list[tuple[str, str]] = []  # the address, and the id of the collection


@pytest.fixture(scope="module", autouse=True)
def served() -> Iterator[None]:
    """One server for all requests, with a collection that some of them can find."""
    with scratch.folder("fuzz") as folder:
        api = Api(folder, allow_reset=False, max_body_bytes=1 << 20)
        path = api.collection("things")
        api.post(
            f"{path}/add",
            {"ids": ["a", "b"], "embeddings": [[1.0, 2.0], [3.0, 4.0]], "metadatas": [{"n": 1}, None]},
        )
        with listening(api.app, http=Protocol) as port:
            _target.append((f"http://127.0.0.1:{port}", path.rpartition("/")[2]))
            yield
            _target.clear()
        api.backend.close()


schema = schemathesis.openapi.from_dict(openapi.document())


def known(case: Any, id: str) -> None:
    """Most requests go to a collection that is there."""
    parts = case.path_parameters
    if parts and "database" in parts and len(str(case.body)) % 4:
        parts["tenant"], parts["database"] = "default_tenant", "default_database"
        if "collection" in parts and case.operation.definition.raw["operationId"] != "delete_collection":
            parts["collection"] = id


@schema.parametrize()
@settings(
    max_examples=25, derandomize=True, database=None, deadline=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
def test_no_request_makes_the_server_fail(case: Any) -> None:
    address, id = _target[0]
    known(case, id)
    answer = case.call(base_url=address, timeout=30)
    # 501 is what the document says of things that only hosted servers have
    case.validate_response(answer, checks=CHECKS[1:] if answer.status_code == 501 else CHECKS)
