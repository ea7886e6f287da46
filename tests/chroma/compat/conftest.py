from __future__ import annotations

import pytest

import chroma


@pytest.fixture
def installed() -> None:
    """This process with `install_as_chromadb()`. tests/conftest.py undoes it after each test."""
    chroma.install_as_chromadb()
