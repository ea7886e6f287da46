"""The language of `Collection.search`, at the path where programs written for Chroma import it."""

from __future__ import annotations

from collections.abc import Sequence  # noqa: F401 - in the hints of classes whose home is here
from typing import Any, ClassVar  # noqa: F401 - likewise

from . import operator
from .operator import *  # noqa: F403 - the names in its __all__
from .plan import Search

__all__ = [*operator.__all__, "Search"]
