"""Chroma's classes for telemetry, which programs derive from or switch off. Here they do nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

TELEMETRY_WHITELISTED_SETTINGS: list[str] = []


class ProductTelemetryEvent:
    """An event. Any keyword becomes an attribute."""

    max_batch_size: ClassVar[int] = 1
    batch_size: int = 1

    def __init__(self, *args: Any, **fields: Any) -> None:
        self.__dict__.update(fields)

    @property
    def name(self) -> str:
        """The name of the event's class."""
        return type(self).__name__

    @property
    def properties(self) -> dict[str, Any]:
        """The attributes."""
        return dict(self.__dict__)


class ClientStartEvent(ProductTelemetryEvent):
    """A client was created."""


class ServerStartEvent(ProductTelemetryEvent):
    """A server was started."""


class ClientCreateCollectionEvent(ProductTelemetryEvent):
    """A collection was created."""


class CollectionAddEvent(ProductTelemetryEvent):
    """Records were added."""


class CollectionUpdateEvent(ProductTelemetryEvent):
    """Records were updated."""


class CollectionQueryEvent(ProductTelemetryEvent):
    """A collection was queried."""


class CollectionGetEvent(ProductTelemetryEvent):
    """Records were read."""


class CollectionDeleteEvent(ProductTelemetryEvent):
    """Records were deleted."""


class ProductTelemetryClient:
    """The receiver of events. This package sends none; `capture` does nothing."""

    def __init__(self, system: Any = None) -> None:
        self._system = system

    def capture(self, event: ProductTelemetryEvent) -> None:
        """Do nothing."""

    @property
    def context(self) -> dict[str, Any]:
        """The data that would be sent with each event. It is empty."""
        return {}

    @property
    def user_id(self) -> str:
        """Chroma's value for an unknown user."""
        return "UNKNOWN"

    def reset_state(self) -> None:
        """Do nothing."""

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


class OpenTelemetryClient(ProductTelemetryClient):
    """The client for traces. The server of this package has its own (`chroma run --help`)."""


def otel_init(*args: Any, **kwargs: Any) -> None:
    """Do nothing: the server of this package sets up its traces itself."""


def trace_method(*args: Any, **kwargs: Any) -> Callable[[F], F]:
    """Return a decorator that leaves the method as it is."""
    return lambda method: method


def add_attributes_to_current_span(attributes: dict[str, Any]) -> None:
    """Do nothing."""
