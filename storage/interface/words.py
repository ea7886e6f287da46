"""Divides texts into words as BM25 counts them: stems without stop words, each known by its hash.

Owns: the rules by which a text becomes terms. They are the rules of Chroma's function chroma_bm25. Runs of
punctuation become spaces. Letters become lower case. The text is split at white space. Stop words and too
long words are dropped. english_stemmer.py gives the stem. MurmurHash3 of 32 bits, without its sign, gives the
hash. Stored vectors are made of such hashes, so these rules must not change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ..native import kernel
from . import english_stemmer

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
STOPWORDS = tuple(_WORDS.split())
LONGEST = 40
_PUNCTUATION = re.compile(r"[^\w\s]+")
_NOTHING = -1
_MOST_STOPWORDS = 256  # of the compiled part
_MOST_REMEMBERED = 1 << 20  # words; one takes about 150 bytes
_32 = 0xFFFFFFFF


class Words(NamedTuple):
    """How often each word occurs in each text: columns with one entry per text and word.

    texts    int64 (n,): the number of the text, ascending
    hashes   uint32 (n,): ascending within a text
    counts   int64 (n,)
    lengths  int64 (texts,): the number of words of each text
    """

    texts: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint32]
    counts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]


class _Hashes(dict[str, int]):
    """The hash of the stem of each word seen so far, -1 for a word that is left out."""

    def __init__(self, stopwords: Iterable[str], longest: int) -> None:
        super().__init__()
        self._stopwords = {word.lower() for word in stopwords}
        self._longest = longest

    def __missing__(self, word: str) -> int:
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        stem = self.stem(word)
        found = self[word] = hash_of(stem) if stem else _NOTHING
        return found

    def stem(self, word: str) -> str:
        """Return the stem of a word, "" for a word that is left out."""
        if word in self._stopwords or len(word) > self._longest:
            return ""
        return english_stemmer.stem(word).strip()


class Tokenizer:
    """Divides texts into terms.

    stopwords  words that are left out
    longest    longer words are left out, too
    """

    def __init__(self, stopwords: Iterable[str] = STOPWORDS, longest: int = LONGEST) -> None:
        self._hashes = _Hashes(stopwords, longest)
        self._stopwords = tuple(sorted({word.lower() for word in stopwords}))
        self._longest = longest

    def count(self, texts: list[str]) -> Words:
        """Count the words of some texts."""
        if kernel.postings is None or len(self._stopwords) > _MOST_STOPWORDS:
            return self._count(texts)
        counted = kernel.postings.words(texts, self._stopwords, self._longest, self._hashes_of)
        of, hashes, counts, lengths = (np.frombuffer(column, np.uint32) for column in counted)
        return Words(of.astype(np.int64), hashes, counts.astype(np.int64), lengths.astype(np.int64))

    def _hashes_of(self, text: str) -> list[int]:
        found = map(self._hashes.__getitem__, split(text))
        return [hash for hash in found if hash != _NOTHING]

    def _count(self, texts: list[str]) -> Words:
        look_up = self._hashes.__getitem__
        found = [list(map(look_up, split(text))) for text in texts]
        owners = np.repeat(np.arange(len(found)), list(map(len, found)))
        hashes = np.fromiter(chain.from_iterable(found), np.int64, len(owners))
        kept = hashes != _NOTHING
        owners = owners[kept]
        pairs, counts = np.unique(owners << 32 | hashes[kept], return_counts=True)
        lengths = np.bincount(owners, minlength=len(texts)).astype(np.int64)
        return Words(pairs >> 32, (pairs & _32).astype(np.uint32), counts.astype(np.int64), lengths)

    def stems(self, text: str) -> list[str]:
        """Return the stems of a text's words, in their order."""
        return [stem for word in split(text) if (stem := self._hashes.stem(word))]


def split(text: str) -> list[str]:
    """Return the words of a text in lower case, without punctuation."""
    return _PUNCTUATION.sub(" ", text).lower().split()


def hash_of(word: str) -> int:
    """Return the hash of a word, from 0 to 2^31."""
    unsigned = murmur3(word.encode("utf-8", "surrogatepass"), 0)
    return abs(unsigned - 2**32 if unsigned >= 2**31 else unsigned)


def murmur3(data: bytes, seed: int) -> int:
    """Compute MurmurHash3 (x86, 32 bits), https://github.com/aappleby/smhasher."""
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
