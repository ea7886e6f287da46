"""BM25 as sparse vectors: tokens, their stems, and their hashes as indices.

The vectors are those of Chroma's function of this name. `storage.interface.words` has the rules by which a
text becomes terms.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

import numpy as np

from ...errors import InvalidArgumentError
from ...storage.interface import english_stemmer
from ...storage.interface.sparse_matrix import SparseMatrix
from ...storage.interface.sparse_vector import unchecked
from ...storage.interface.words import (
    LONGEST,
    STOPWORDS,
    Tokenizer,
    hash_of,
    murmur3,
    split,
)
from ..core.config_schema import Form
from ..core.configured import Configured
from ..core.inputs import checked
from ..core.sparse import SparseEmbeddingFunction

if TYPE_CHECKING:
    from ...types import SparseVectors

_SOURCE = "ChromaBm25EmbeddingFunction"
NAME = "chroma_bm25"
DEFAULT_K = 1.2
DEFAULT_B = 0.75
DEFAULT_AVG_DOC_LENGTH = 256.0
DEFAULT_TOKEN_MAX_LENGTH = LONGEST

DEFAULT_ENGLISH_STOPWORDS = list(STOPWORDS)
DEFAULT_CHROMA_BM25_STOPWORDS = list(DEFAULT_ENGLISH_STOPWORDS)

_NUMBER: tuple[type, ...] = (int, float)


class ChromaBm25Config(TypedDict, total=False):
    """The configuration of ChromaBm25EmbeddingFunction."""

    k: float
    b: float
    avg_doc_length: float
    token_max_length: int
    stopwords: list[str]
    include_tokens: bool


class ChromaBm25EmbeddingFunction(Configured, SparseEmbeddingFunction[list[str]]):
    """BM25 for English texts. Needs no model and no package.

    k, b              the parameters of BM25: saturation of the frequency, weight of the length
    avg_doc_length    the average length of a document in tokens
    token_max_length  longer words are left out
    stopwords         words that are left out; None: the usual ones of English
    include_tokens    True: the vectors have the stems as labels
    """

    __module__ = "chroma.utils.embedding_functions"

    _form = Form(
        NAME,
        {
            "k": _NUMBER,
            "b": _NUMBER,
            "avg_doc_length": _NUMBER,
            "token_max_length": (int,),
            "include_tokens": (bool,),
            "stopwords": (list,),
        },
        needed=(),
        fixed=(),
    )

    def __init__(
        self,
        k: float = DEFAULT_K,
        b: float = DEFAULT_B,
        avg_doc_length: float = DEFAULT_AVG_DOC_LENGTH,
        token_max_length: int = DEFAULT_TOKEN_MAX_LENGTH,
        stopwords: Iterable[str] | None = None,
        include_tokens: bool = False,
    ) -> None:
        config: dict[str, Any] = {
            "k": k,
            "b": b,
            "avg_doc_length": avg_doc_length,
            "token_max_length": token_max_length,
            "include_tokens": include_tokens,
        }
        if stopwords is not None:
            config["stopwords"] = _words(stopwords)
        self._set(config)
        for name, value, valid, rule in (
            ("k", k, 0 <= k <= 1e6, "from 0 to 1e6"),
            ("b", b, 0 <= b <= 1, "from 0 to 1"),
            ("avg_doc_length", avg_doc_length, 1e-6 <= avg_doc_length <= 1e12, "from 1e-6 to 1e12"),
            ("token_max_length", token_max_length, token_max_length >= 0, "at least 0"),
        ):
            if not valid:
                raise InvalidArgumentError(f"{_SOURCE}: `{name}` must be {rule}, got {value!r}.")

    def __call__(self, input: list[str]) -> SparseVectors:
        texts = checked(input)
        found = self.as_matrix(texts)
        indices, values = found.indices.tolist(), found.values.tolist()
        labels = self._labels(texts) if self._config["include_tokens"] else None
        return [
            unchecked(
                indices[start:end],
                values[start:end],
                None if labels is None or start == end else [labels[index] for index in indices[start:end]],
            )
            for start, end in pairwise(found.starts.tolist())
        ]

    def as_matrix(self, texts: list[str]) -> SparseMatrix:
        """Return the vectors of some texts, without labels, as arrays."""
        words = self._config.get("stopwords", DEFAULT_CHROMA_BM25_STOPWORDS)
        found = _tokenizer(tuple(words), self._config["token_max_length"]).count(texts)
        k, b = self._config["k"], self._config["b"]
        norms = k * (1 - b + b * found.lengths / self._config["avg_doc_length"])
        values = found.counts * (k + 1) / (found.counts + norms[found.texts])
        starts = np.concatenate([[0], np.cumsum(np.bincount(found.texts, minlength=len(texts)))])
        return SparseMatrix(starts, found.hashes, values)

    def _labels(self, texts: list[str]) -> dict[int, str]:
        words = self._config.get("stopwords", DEFAULT_CHROMA_BM25_STOPWORDS)
        tokenizer = _tokenizer(tuple(words), self._config["token_max_length"])
        stems: dict[int, str] = {}
        for stem in chain.from_iterable(map(tokenizer.stems, texts)):
            stems.setdefault(hash_of(stem), stem)
        return stems

    @classmethod
    def build_from_config(cls, config: dict[str, Any]) -> Any:
        cls._form.check(config)
        return cls(**config)

    def validate_config_update(self, old_config: dict[str, Any], new_config: dict[str, Any]) -> None:
        self._form.check(new_config)


def _words(stopwords: Iterable[str]) -> list[str]:
    if isinstance(stopwords, str):
        raise InvalidArgumentError(f"{_SOURCE}: `stopwords` must be a list of words, got {stopwords!r}.")
    words = list(stopwords)
    for word in words:
        if not isinstance(word, str):
            raise InvalidArgumentError(f"{_SOURCE}: `stopwords` must be texts, got {word!r}.")
    return words


@lru_cache(8)
def _tokenizer(stopwords: tuple[str, ...], longest: int) -> Tokenizer:
    """Return a tokenizer, which remembers the words that it has seen."""
    return Tokenizer(stopwords, longest)


class SnowballStemmer(Protocol):
    """Reduces a word to its stem."""

    def stem(self, token: str) -> str:
        """Return the stem of a word in lower case."""
        ...


class _English:
    def stem(self, token: str) -> str:
        return english_stemmer.stem(token)


def get_english_stemmer() -> SnowballStemmer:
    """Return the stemmer for English."""
    return _English()


class Bm25Tokenizer:
    """Divides texts into the stems of their words, without stop words."""

    def __init__(self, stemmer: SnowballStemmer, stopwords: Iterable[str], token_max_length: int) -> None:
        self._stemmer = stemmer
        self._stopwords = {word.lower() for word in stopwords}
        self._longest = token_max_length
        self._stems: dict[str, str] = {}

    def tokenize(self, text: str) -> list[str]:
        """Return the stems of the text's words, in their order."""
        words = split(text)
        kept = [word for word in words if word not in self._stopwords and len(word) <= self._longest]
        return [stem for word in kept if (stem := self._stem(word))]

    def _stem(self, word: str) -> str:
        stem = self._stems.get(word)
        if stem is None:
            stem = self._stems[word] = self._stemmer.stem(word).strip()
        return stem


class Murmur3AbsHasher:
    """Hashes a text with MurmurHash3 (32 bits, signed) and drops the sign."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def hash(self, token: str) -> int:
        """Return the hash, from 0 to 2**31."""
        unsigned = murmur3(token.encode(), self.seed & 0xFFFFFFFF)
        return abs(unsigned - 2**32 if unsigned >= 2**31 else unsigned)
