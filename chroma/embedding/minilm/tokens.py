"""The tokens of all-MiniLM-L6-v2: how many a text has, and where it may be divided."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from .weights import VOCABULARY

if TYPE_CHECKING:
    from tokenizers import Encoding

MAX_TOKENS = 256
MARKERS = 2  # tokens that mark the begin and the end of each text
_PREFIX = 16_384  # characters that are tokenised before a whole text is


def bert_tokenizer() -> Tokenizer:
    """Build the uncased BERT tokenizer with the packaged vocabulary."""
    words = vocabulary()
    pieces = models.WordPiece(words, unk_token="[UNK]", max_input_chars_per_word=100)  # noqa: S106 - no secret
    tokenizer = Tokenizer(pieces)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", words["[CLS]"]), ("[SEP]", words["[SEP]"])],
    )
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    return tokenizer


def vocabulary() -> dict[str, int]:
    """Return the token id of each word piece: its line number in the packaged file."""
    words = VOCABULARY.read_text(encoding="utf-8").rstrip("\n").split("\n")
    return {word: number for number, word in enumerate(words)}


def are_cut(texts: Sequence[str], most: int = MAX_TOKENS) -> list[bool]:
    """Whether each text has more than `most` tokens, both markers included."""
    return [_is_cut(text, most - MARKERS) for text in texts]


def _is_cut(text: str, most: int) -> bool:
    if len(text.encode("utf-8", "replace")) <= most:  # a token is at least a byte
        return False
    return _count(text[:_PREFIX]) > most or (len(text) > _PREFIX and _count(text) > most)


def _count(text: str) -> int:
    return len(_tokenizer().encode(text, add_special_tokens=False).ids)


@functools.cache
def _tokenizer() -> Tokenizer:
    """Return a tokenizer that cuts nothing."""
    tokenizer = bert_tokenizer()
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def split(text: str, most: int, overlap: int) -> list[tuple[int, int]]:
    """Divide a text into pieces of at most `most` tokens, both markers included.

    Returns where each piece begins and ends in the text. The pieces follow each other; each repeats about the
    last `overlap` tokens of the one before. A piece ends after a paragraph, a sentence or a word: the first
    of these that is found in its last half.
    """
    encoding = _tokenizer().encode(text, add_special_tokens=False)
    offsets, room = encoding.offsets, most - MARKERS
    if len(offsets) <= room:
        return [(0, len(text))]
    rank = _ends(text, encoding)
    pieces: list[tuple[int, int]] = []
    begin = 0
    while True:
        end = len(offsets) if begin + room >= len(offsets) else _best(rank, begin, begin + room)
        start = offsets[begin][0] if pieces else 0
        while end - begin > 1 and _count(text[start : _end(text, offsets, end)]) > room:
            end -= 1  # a word that is divided may have more tokens
        pieces.append((start, _end(text, offsets, end)))
        if end == len(offsets):
            return pieces
        begin = max(begin + 1, _word(rank, end - overlap, end))


def _end(text: str, offsets: Sequence[tuple[int, int]], end: int) -> int:
    """Return the end of a piece before token `end`. Characters without a token, such as accents, stay with
    it."""
    if end == len(offsets):
        return len(text)
    start, stop = offsets[end - 1][1], offsets[end][0]
    return start + len(text[start:stop].rstrip())


_WORD, _SENTENCE, _PARAGRAPH = 1, 2, 3


def _ends(text: str, encoding: Encoding) -> list[int]:
    """Return for each token what ends before it: nothing, a word, a sentence or a paragraph."""
    offsets, words = encoding.offsets, encoding.word_ids
    ranks = [_PARAGRAPH]
    for number in range(1, len(offsets)):
        between = text[offsets[number - 1][1] : offsets[number][0]]
        before = text[slice(*offsets[number - 1])]
        if "\n" in between:
            ranks.append(_PARAGRAPH)
        elif before in _STOPS and (between or before in _WIDE_STOPS):
            ranks.append(_SENTENCE)
        else:
            ranks.append(_WORD if words[number] != words[number - 1] else 0)
    return ranks


_WIDE_STOPS = frozenset("。！？")  # no blank follows these
_STOPS = _WIDE_STOPS | frozenset(".!?")


def _best(ranks: Sequence[int], begin: int, limit: int) -> int:
    """Return the token before which a piece ends best."""
    half = range(limit, begin + (limit - begin) // 2, -1)
    best = max(half, key=lambda number: ranks[number])  # the last one of the best
    if ranks[best]:
        return best
    return next((number for number in half if ranks[number]), limit)


def _word(ranks: Sequence[int], first: int, last: int) -> int:
    """Return the first token from `first` on that begins a word, at most `last`."""
    return next((number for number in range(max(0, first), last) if ranks[number]), last)
