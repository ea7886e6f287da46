"""Makes an embedding function from an `Embeddings` object of LangChain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import InvalidArgumentError, UnsupportedError
from ..core.protocol import EmbeddingFunction, normalise

if TYPE_CHECKING:
    from ..core.protocol import Vectors


class ChromaLangchainEmbeddingFunction(EmbeddingFunction[Any]):
    """Wraps an object with the methods `embed_documents(texts)` and `embed_query(text)`.

    embedding_function  the `Embeddings` object of LangChain

    The object is not stored, because it cannot be rebuilt from a name. Pass the function to `get_collection`
    again.
    """

    __module__ = "chroma.utils.embedding_functions"

    def __init__(self, embedding_function: Any) -> None:
        for method in ("embed_documents", "embed_query"):
            if not callable(getattr(embedding_function, method, None)):
                raise InvalidArgumentError(
                    "`embedding_function` must have the methods of LangChain's Embeddings, "
                    f"{type(embedding_function).__name__} has no `{method}`."
                )
        self.embedding_function = embedding_function

    def embed_documents(self, documents: list[str]) -> Any:
        """Embed documents."""
        return self.embedding_function.embed_documents(documents)

    def embed_image(self, uris: list[str]) -> Any:
        """Embed the images at these uris. Raises InvalidArgumentError if the object cannot."""
        if not callable(getattr(self.embedding_function, "embed_image", None)):
            raise InvalidArgumentError(f"{type(self.embedding_function).__name__} embeds no images.")
        return self.embedding_function.embed_image(uris)

    @staticmethod
    def name() -> str:
        return "langchain"

    def is_legacy(self) -> bool:
        """True: the object cannot be rebuilt from a stored configuration."""
        return True

    def get_config(self) -> dict[str, Any]:
        return {
            "embedding_function_class": type(self.embedding_function).__name__,
            "note": "The object of LangChain is not stored; pass it again.",
        }

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> ChromaLangchainEmbeddingFunction:
        raise UnsupportedError(
            "A function of LangChain cannot be rebuilt from its configuration: make it again and pass it as "
            "`embedding_function=`."
        )


def _call(self: ChromaLangchainEmbeddingFunction, input: Any) -> Vectors:
    """Embed documents, or the images of `("images", uris)`, which the loader for LangChain returns."""
    pictures = isinstance(input, tuple) and len(input) == 2 and input[0] == "images"
    items = list(input[1] if pictures else input)
    made = self.embed_image(items) if pictures else self.embed_documents(items)
    return normalise(made, len(items), type(self).__name__)


def _embed_query(self: ChromaLangchainEmbeddingFunction, input: Any) -> Any:
    """Embed queries. One text instead of a list gives one vector, as in LangChain."""
    if isinstance(input, str):
        return self.embedding_function.embed_query(input)
    return normalise(
        [self.embedding_function.embed_query(text) for text in input], len(input), type(self).__name__
    )


# Set after the class: a class's own methods are checked to return a vector for each item of `input`.
ChromaLangchainEmbeddingFunction.__call__ = _call  # type: ignore[assignment, method-assign]
ChromaLangchainEmbeddingFunction.embed_query = _embed_query  # type: ignore[assignment, method-assign]


def create_langchain_embedding(langchain_embedding_fn: Any) -> ChromaLangchainEmbeddingFunction:
    """Wrap an `Embeddings` object of LangChain."""
    return ChromaLangchainEmbeddingFunction(langchain_embedding_fn)
