"""BM25 as sparse vectors: tokens, their stems, and their hashes as indices.

The vectors are those of Chroma's function of this name. They depend on the list of stop words, on the stemmer
(Snowball's for English) and on the hash (MurmurHash3 of 32 bits), so none of these may change.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from ...errors import InvalidArgumentError
from ...internal.optional_dependencies import require
from ...types import SparseVector
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
DEFAULT_TOKEN_MAX_LENGTH = 40

# NLTK's list for English
_WORDS = """
a about above after again against ain all am an and any are aren aren't as at be because been
before being below between both but by can couldn couldn't d did didn didn't do does doesn doesn't
doing don don't down during each few for from further had hadn hadn't has hasn hasn't have haven
haven't having he her here hers herself him himself his how i if in into is isn isn't it it's its
itself just ll m ma me mightn mightn't more most mustn mustn't my myself needn needn't no nor not
now o of off on once only or other our ours ourselves out over own re s same shan shan't she she's
should should've shouldn shouldn't so some such t than that that'll the their theirs them
themselves then there these they this those through to too under until up ve very was wasn wasn't
we were weren weren't what when where which while who whom why will with won won't wouldn wouldn't
y you you'd you'll you're you've your yours yourself yourselves
"""
DEFAULT_ENGLISH_STOPWORDS = _WORDS.split()
DEFAULT_CHROMA_BM25_STOPWORDS = list(DEFAULT_ENGLISH_STOPWORDS)

_PUNCTUATION = re.compile(r"[^\w\s]+")
_NUMBER: tuple[type, ...] = (int, float)
_32 = 0xFFFFFFFF


class ChromaBm25Config(TypedDict, total=False):
    """The configuration of ChromaBm25EmbeddingFunction."""

    k: float
    b: float
    avg_doc_length: float
    token_max_length: int
    stopwords: list[str]
    include_tokens: bool


class ChromaBm25EmbeddingFunction(Configured, SparseEmbeddingFunction[list[str]]):
    """BM25 for English texts. Needs the package snowballstemmer, and no model.

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
            config["stopwords"] = list(stopwords)
        self._set(config)
        if avg_doc_length <= 0:
            raise InvalidArgumentError(
                f"{_SOURCE}: `avg_doc_length` must be positive, got {avg_doc_length!r}."
            )

    def __call__(self, input: list[str]) -> SparseVectors:
        texts = checked(input)
        words = self._config.get("stopwords", DEFAULT_CHROMA_BM25_STOPWORDS)
        tokenizer = Bm25Tokenizer(get_english_stemmer(), words, self._config["token_max_length"])
        return [self._vector(tokenizer.tokenize(text)) for text in texts]

    def _vector(self, tokens: list[str]) -> SparseVector:
        k, b = self._config["k"], self._config["b"]
        norm = k * (1 - b + b * len(tokens) / self._config["avg_doc_length"])
        hasher = Murmur3AbsHasher()
        stems: dict[int, str] = {}
        counts: Counter[int] = Counter()
        for token, times in Counter(tokens).items():
            index = hasher.hash(token)
            stems.setdefault(index, token)
            counts[index] += times
        indices = sorted(counts)
        return SparseVector(
            indices,
            [counts[index] * (k + 1) / (counts[index] + norm) for index in indices],
            [stems[index] for index in indices] if self._config["include_tokens"] and indices else None,
        )

    @classmethod
    def build_from_config(cls, config: dict[str, Any]) -> Any:
        cls._form.check(config)
        return cls(**config)


class SnowballStemmer(Protocol):
    """Reduces a word to its stem."""

    def stem(self, token: str) -> str:
        """Return the stem of a word in lower case."""
        ...


class _English:
    def __init__(self) -> None:
        self._stemmer = require("snowballstemmer", None, _SOURCE).stemmer("english")

    def stem(self, token: str) -> str:
        stem: str = self._stemmer.stemWord(token)
        return stem


def get_english_stemmer() -> SnowballStemmer:
    """Return the stemmer for English. Raises InvalidArgumentError without the package snowballstemmer."""
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
        words = _PUNCTUATION.sub(" ", text).lower().split()
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
        unsigned = _murmur3(token.encode(), self.seed & _32)
        return abs(unsigned - 2**32 if unsigned >= 2**31 else unsigned)


def _murmur3(data: bytes, seed: int) -> int:
    state, whole = seed, len(data) // 4 * 4
    for start in range(0, whole, 4):
        state ^= _scrambled(int.from_bytes(data[start : start + 4], "little"))
        state = (_rotated(state, 13) * 5 + 0xE6546B64) & _32
    if rest := data[whole:]:
        state ^= _scrambled(int.from_bytes(rest, "little"))
    state ^= len(data)
    state = (state ^ state >> 16) * 0x85EBCA6B & _32
    state = (state ^ state >> 13) * 0xC2B2AE35 & _32
    return state ^ state >> 16


def _scrambled(block: int) -> int:
    return _rotated(block * 0xCC9E2D51 & _32, 15) * 0x1B873593 & _32


def _rotated(number: int, bits: int) -> int:
    return (number << bits | number >> (32 - bits)) & _32
