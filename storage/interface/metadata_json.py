"""Writes metadata as JSON, with the sparse vectors that it may have."""

from __future__ import annotations

import functools

import orjson

from . import sparse_vector

# Metadata, or JSON data that has some, as bytes. Arrays of numpy become lists.
dumps = functools.partial(
    orjson.dumps,
    default=sparse_vector.plain,
    option=orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_SERIALIZE_NUMPY,
)
