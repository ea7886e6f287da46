"""Runs unchanged programs written for the package `chromadb` with this package.

Owns the modules named `chromadb…` of this process, and the version that they report. A module is made when
it is imported, and a name in it is looked up when it is used.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..errors import ChromaError

if TYPE_CHECKING:
    from importlib.metadata import Distribution, DistributionFinder

_THEIRS, _OURS = "chromadb", "chroma"


def install_as_chromadb() -> None:
    """Make `import chromadb` import this package: every module and public name of chromadb 1.5.9.

    Names that exist here are the same objects under both names, so `isinstance` works. A name that this
    package does not offer can be imported. It raises UnsupportedError when it is used. `chromadb.__version__`
    and `importlib.metadata.version("chromadb")` are "1.5.9". Call this function before anything imports
    `chromadb`. Further calls do nothing. Raises ChromaError if the real package is imported already.
    """
    if any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    present = sys.modules.get(_THEIRS)
    if present is not None:
        raise ChromaError(
            "the package chromadb is imported already, from "
            f"{getattr(present, '__file__', 'an unknown place')}: call "
            "chroma.install_as_chromadb() before the first import of chromadb"
        )
    from ..internal import chromadb_name

    sys.meta_path.insert(0, _Finder())
    chromadb_name.taken = True


class _Module(ModuleType):
    """A module of chromadb. Its names are looked up in this package when they are first used."""

    def __getattr__(self, name: str) -> Any:
        from .names import resolved

        if name == "__file__" and self.__spec__ is not None:
            return self.__spec__.origin
        value = resolved(self.__name__, name)
        self.__dict__[name] = value
        return value

    def __dir__(self) -> Iterable[str]:
        from .names import listed_names

        return sorted({*super().__dir__(), *listed_names(self.__name__)})


class _Finder(MetaPathFinder, Loader):
    """Finds the modules named `chromadb…`, and the version of the distribution `chromadb`.

    A module of this package that chromadb does not have, such as `chromadb.migration`, is the module itself
    under both names. Without this finder, Python would load a second copy of it from the package's folder.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != _THEIRS and not fullname.startswith(f"{_THEIRS}."):
            return None
        from .names import is_listed

        own = _own_spec(fullname)
        if own is None and not is_listed(fullname):
            return None
        package = fullname == _THEIRS or is_listed(fullname, package=True)
        if own is not None and own.submodule_search_locations is not None:
            package = True
        root = sys.modules[_OURS].__file__
        return ModuleSpec(fullname, self, origin=own.origin if own else root, is_package=package)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        from .names import is_listed

        if is_listed(spec.name):
            return _Module(spec.name, f"The names of {spec.name}, answered by {_OURS}.")
        module = importlib.import_module(_own_name(spec.name))
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the spec of a module of this package, which the import system has overwritten."""
        alias = module.__spec__
        if alias is not None and not isinstance(module, _Module):
            module.__spec__ = alias.loader_state

    def find_distributions(self, context: DistributionFinder.Context | None = None) -> list[Distribution]:
        """Answer `importlib.metadata.version("chromadb")` with the version whose names are offered."""
        name = getattr(context, "name", None)
        if not isinstance(name, str) or name.lower() != _THEIRS:
            return []
        from .distribution import AsChromadb

        return [AsChromadb()]


def _own_name(fullname: str) -> str:
    return _OURS + fullname[len(_THEIRS) :]


def _own_spec(fullname: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(_own_name(fullname))
    except ModuleNotFoundError:
        return None
