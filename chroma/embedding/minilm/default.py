"""The default embedding function of collections: all-MiniLM-L6-v2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..core.protocol import EmbeddingFunction, Space
from .function import ONNXMiniLM_L6_V2

if TYPE_CHECKING:
    from ..core.protocol import Vectors


class DefaultEmbeddingFunction(EmbeddingFunction[list[str]]):
    """all-MiniLM-L6-v2 for texts: float32, 384 dimensions, unit length, 256 tokens.

    Uses the same loaded model as `ONNXMiniLM_L6_V2`. Its name is "default", it has no settings,
    and its default space is "l2". Creating an instance loads nothing.
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
        """Return the maximum number of tokens, both end markers included. Longer texts are truncated."""
        return ONNXMiniLM_L6_V2.MAX_TOKENS

    def are_cut(self, texts: Sequence[str]) -> list[bool]:
        """Whether the model reads only the beginning of each text."""
        return ONNXMiniLM_L6_V2().are_cut(texts)

    def split(self, text: str, tokens: int, overlap: int) -> list[tuple[int, int]]:
        """Return where the pieces of a text begin and end. `chroma.split` explains the arguments."""
        return ONNXMiniLM_L6_V2().split(text, tokens, overlap)
