"""The keys with which the hosted service encrypts a collection. Collections here cannot be encrypted so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Any

from ..errors import InvalidArgumentError
from ..storage.interface.short_repr import shown

_GCP = re.compile(r"projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+")


class CmekProvider(str, Enum):
    """The service that keeps the key."""

    __module__ = "chroma.api.types"

    GCP = "gcp"


@dataclass
class Cmek:
    """The name of a customer-managed encryption key."""

    provider: CmekProvider
    resource: str

    @classmethod
    def gcp(cls, resource: str) -> Cmek:
        """Return the key projects/…/locations/…/keyRings/…/cryptoKeys/… of Google Cloud."""
        return cls(CmekProvider.GCP, resource)

    def validate_pattern(self) -> bool:
        """Whether the name has the provider's form."""
        return _GCP.fullmatch(self.resource) is not None

    def to_dict(self) -> dict[str, Any]:
        """Return {provider: name}."""
        return {self.provider.value: self.resource}

    @classmethod
    def from_dict(cls, data: Any) -> Cmek:
        """Read {provider: name}."""
        if not isinstance(data, dict) or len(data) != 1 or not isinstance(data.get("gcp"), str):
            raise InvalidArgumentError(
                f"Unsupported or missing CMEK provider in data: expected {{'gcp': name of a key}}, got "
                f"{shown(data)}"
            )
        return cls.gcp(data["gcp"])


Cmek.__module__ = "chroma.api.types"  # a dataclass is made in the module that it is in
