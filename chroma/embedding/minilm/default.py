"""The function a collection uses when none is named: all-MiniLM-L6-v2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.protocol import EmbeddingFunction, Space
from .function import ONNXMiniLM_L6_V2

if TYPE_CHECKING:
    from ..core.protocol import Vectors


class DefaultEmbeddingFunction(EmbeddingFunction[list[str]]):
    """all-MiniLM-L6-v2 for texts: float32, 384 dimensions, unit length, 256 tokens.

    The same model as `ONNXMiniLM_L6_V2` (the loaded model is shared), under the name
    "default", without settings, and with "l2" as its space. Making one loads nothing.
    """

    __module__ = "chroma.utils.embedding_functions"

    def __call__(self, input: list[str]) -> Vectors:
        return ONNXMiniLM_L6_V2()(input)

    @staticmethod
    def name() -> str:
        return "default"

    def get_config(self) -> dict[str, Any]:
        return {}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> DefaultEmbeddingFunction:
        return DefaultEmbeddingFunction()

    def default_space(self) -> Space:
        return "l2"

    def max_tokens(self) -> int:
        """Longer texts are cut to this many tokens, the two end markers included."""
        return ONNXMiniLM_L6_V2.MAX_TOKENS
