"""Import names of Chroma programs: the types live in `chroma.configuration`."""

from __future__ import annotations

from ..configuration import (
    CollectionConfiguration,
    CreateCollectionConfiguration,
    CreateHNSWConfiguration,
    CreateSpannConfiguration,
    UpdateCollectionConfiguration,
    UpdateHNSWConfiguration,
    UpdateSpannConfiguration,
)

__all__ = [
    "CollectionConfiguration",
    "CreateCollectionConfiguration",
    "CreateHNSWConfiguration",
    "CreateSpannConfiguration",
    "UpdateCollectionConfiguration",
    "UpdateHNSWConfiguration",
    "UpdateSpannConfiguration",
]
