"""Python runs this module when it starts below `chroma exec`: it makes `chromadb` this package.

Invariant: apart from that, a program runs as without it. The folder of this module is taken off
`sys.path`, and another `sitecustomize`, which this one hides, is run after it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import module_from_spec
from types import ModuleType

_FOLDER = os.path.dirname(os.path.abspath(__file__))


class _Refused(MetaPathFinder):
    """Refuses imports if `chroma-arrow` is not installed, so that no other package is used unnoticed."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != "chromadb":
            return None
        raise ModuleNotFoundError(
            "`chroma exec` answers `chromadb` with the package chroma-arrow, which is not installed in the "
            f"environment {sys.prefix}: install it there, or run the program without `chroma exec`",
            name=fullname,
        )


def _answer() -> None:
    try:
        from chroma.compat.install import install_as_chromadb
    except ModuleNotFoundError as missing:
        if missing.name not in ("chroma", "chroma.compat", "chroma.compat.install"):
            raise
        sys.meta_path.insert(0, _Refused())
    else:
        install_as_chromadb()


def _run_hidden() -> None:
    """Run the module `sitecustomize` that Python would have run without this one."""
    spec = PathFinder.find_spec("sitecustomize", sys.path)
    if spec is None or spec.loader is None:
        return
    module = module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


if __name__ == "sitecustomize":
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != _FOLDER]
    _answer()
    _run_hidden()
