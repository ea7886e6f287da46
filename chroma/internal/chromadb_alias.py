"""Runs unchanged programs written for the package `chromadb` with this package."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

from ..errors import ChromaError

_THEIRS, _OURS = "chromadb", "chroma"


def install_as_chromadb() -> None:
    """Make `import chromadb` import this package, including every submodule that exists here.

    Both names refer to the same module objects, so classes are identical and `isinstance` works.
    Call this function before anything imports `chromadb`. Further calls do nothing.
    Raises ChromaError if the real package is imported already.
    """
    present = sys.modules.get(_THEIRS)
    ours = sys.modules[_OURS]
    if present is ours:
        return
    if present is not None:
        raise ChromaError(
            "the package chromadb is imported already, from "
            f"{getattr(present, '__file__', 'an unknown place')}: call "
            "chroma.install_as_chromadb() before the first import of chromadb"
        )
    sys.meta_path.insert(0, _Alias())
    sys.modules[_THEIRS] = ours


class _Alias(MetaPathFinder, Loader):
    """Imports `chromadb.x` as `chroma.x`. Without this finder, Python would load a second copy of each
    submodule from the package's folder."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{_THEIRS}."):
            return None
        own = _own_name(fullname)
        try:
            found = importlib.util.find_spec(own)
        except ModuleNotFoundError:
            return None
        if found is None:
            return None
        return ModuleSpec(fullname, self, is_package=found.submodule_search_locations is not None)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(_own_name(spec.name))
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the module's own spec, which the import system has overwritten."""
        alias = module.__spec__
        if alias is not None and alias.name.startswith(_THEIRS):
            module.__spec__ = alias.loader_state


def _own_name(fullname: str) -> str:
    return _OURS + fullname[len(_THEIRS) :]
