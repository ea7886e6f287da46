"""The base of functions with a stored configuration: its form, its checks, and building the function."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from typing import Any, ClassVar

from ...internal.optional_dependencies import require
from .api_keys import LATER
from .config_schema import Form
from .protocol import Space


class Configured:
    """A function that a provider runs. Its constructor takes the keys of the form, and `api_key`."""

    _form: ClassVar[Form]
    _config: dict[str, Any]

    def _set(self, config: dict[str, Any]) -> None:
        self._form.check(config)
        self._config = config

    @classmethod
    def name(cls) -> str:
        return cls._form.name

    def get_config(self) -> dict[str, Any]:
        return dict(self._config)

    @classmethod
    def build_from_config(cls, config: dict[str, Any]) -> Any:
        return cls(api_key=LATER, **config)  # type: ignore[call-arg]  # of the classes derived from it

    def default_space(self) -> Space:
        return "cosine"

    @classmethod
    def validate_config(cls, config: dict[str, Any]) -> None:
        cls._form.check(config)

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        self._form.check_update(old_config, new_config)


class ConfiguredLocally(Configured):
    """A function that a package runs on this machine.

    Its constructor needs the package. A stored function is built without it, so that a collection opens where
    the package is missing; its first call asks for it.
    """

    _package: ClassVar[str]
    _distribution: ClassVar[str]

    @classmethod
    def _need_package(cls) -> None:
        """Raise InvalidArgumentError, with the install command, unless the package is installed."""
        if sys.modules.get(cls._package) is None and importlib.util.find_spec(cls._package) is None:
            cls._import(cls._package)

    @classmethod
    def _import(cls, module: str) -> Any:
        return require(module, None, cls.__name__, cls._distribution)

    @classmethod
    def build_from_config(cls, config: dict[str, Any]) -> Any:
        cls._form.check(config)
        parameters = inspect.signature(cls.__init__).parameters
        defaults = {key: parameters[key].default for key in cls._form.types if key in parameters}
        function = cls.__new__(cls)
        function._set({**defaults, **config})
        return function
