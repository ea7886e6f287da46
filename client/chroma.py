"""The client of Chroma-on-Arrow: `import chroma` where only `chroma-arrow-client` is installed.

The modules are a selection of those of the whole package, `chroma-arrow`. They are installed in a folder of
another name, and this module becomes the package `chroma` over that folder. So the two distributions share no
file: where both are installed, Python finds the folder `chroma` of the whole one before this file, and either
of them may be removed without harm to the other.
"""

import importlib.util
import pathlib
import sys


def _become_package() -> None:
    """The module object stays, for the import system holds its lock; it takes over what makes a package."""
    tree = pathlib.Path(__file__).resolve().parent / "chroma_client" / "chroma"
    spec = importlib.util.spec_from_file_location(
        "chroma", tree / "__init__.py", submodule_search_locations=[str(tree)]
    )
    assert spec is not None
    assert spec.loader is not None
    this = sys.modules["chroma"]
    for key, value in vars(importlib.util.module_from_spec(spec)).items():
        if key != "__spec__":
            setattr(this, key, value)
    assert this.__spec__ is not None
    for key in ("cached", "loader", "origin", "submodule_search_locations"):
        setattr(this.__spec__, key, getattr(spec, key))
    spec.loader.exec_module(this)
    # A checkout that is installed for editing offers its modules to every package of its name.
    for name in importlib.import_module("chroma.internal.distribution").LEFT_OUT:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


_become_package()
