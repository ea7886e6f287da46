"""What installs an optional package, also from a checkout."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from chroma.errors import InvalidArgumentError
from chroma.internal.optional_dependencies import require


class Installed:
    """A distribution whose origin is known."""

    def __init__(self, origin: str | None) -> None:
        self._origin = origin

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return self._origin


def told(monkeypatch: pytest.MonkeyPatch, origin: str | None) -> str:
    def distribution(name: str) -> Any:
        if origin == "none":
            raise metadata.PackageNotFoundError(name)
        return Installed(origin)

    monkeypatch.setattr(metadata, "distribution", distribution)
    with pytest.raises(InvalidArgumentError) as caught:
        require("no_such_package", "plot", "plot")
    return str(caught.value)


def test_a_checkout_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").touch()
    origin = f'{{"dir_info": {{"editable": true}}, "url": "{tmp_path.as_uri()}"}}'
    assert told(monkeypatch, origin) == (
        f"plot needs a package that is not installed: pip install 'chroma-arrow[plot]', from the checkout "
        f"pip install '{tmp_path}[plot]' (or: pip install no-such-package)."
    )


@pytest.mark.parametrize(
    "origin", [None, "none", '{"url": "https://example.org/x.whl"}', '{"url": "file:///no"}']
)
def test_an_index_needs_no_more(origin: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, origin) == (
        "plot needs a package that is not installed: pip install 'chroma-arrow[plot]' "
        "(or: pip install no-such-package)."
    )
