"""Reduces English words to their stems, so that "apples" is found by "apple".

Owns: one fixed state of the algorithm. Stored vectors are made of stems, so the stem of a word must never
change. Later versions of the Snowball project stem some words otherwise ("organization", "added"), and the
other clients of Chroma use the older rules, too.

The algorithm is Porter2 as of Snowball 2: https://snowballstem.org/algorithms/english/stemmer.html. Its names
are kept: R1 is the part of a word after the first consonant that follows a vowel, and R2 the same part of R1.
"""

from __future__ import annotations

_VOWELS = frozenset("aeiouy")
_DOUBLES = ("bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt")
_BEFORE_LI = frozenset("cdeghkmnrt")
_LONG_STARTS = ("gener", "commun", "arsen")  # R1 begins after these
_WHOLE = {
    "skis": "ski",
    "skies": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "idly": "idl",
    "gently": "gentl",
    "ugly": "ugli",
    "early": "earli",
    "only": "onli",
    "singly": "singl",
} | {word: word for word in ("sky", "news", "howe", "atlas", "cosmos", "bias", "andes")}
_FINISHED = frozenset(
    ("inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed")
)  # after step 1a
# Suffixes of steps 2 and 3 in R1, with what replaces them. The longest that fits counts.
_STEP_2 = {
    "ization": "ize", "ational": "ate", "fulness": "ful", "ousness": "ous", "iveness": "ive",
    "tional": "tion", "biliti": "ble", "lessli": "less", "entli": "ent", "ation": "ate", "alism": "al",
    "aliti": "al", "ousli": "ous", "iviti": "ive", "fulli": "ful", "enci": "ence", "anci": "ance",
    "abli": "able", "izer": "ize", "ator": "ate", "alli": "al", "bli": "ble", "ogi": "og", "li": "",
}  # fmt: skip
_STEP_3 = {
    "ational": "ate", "tional": "tion", "alize": "al", "icate": "ic", "iciti": "ic", "ative": "",
    "ical": "ic", "ness": "", "ful": "",
}  # fmt: skip
_STEP_4 = (
    "ement", "ance", "ence", "able", "ible", "ment", "ant", "ent", "ism", "ate", "iti", "ous", "ive", "ize",
    "ion", "al", "er", "ic",
)  # fmt: skip


def stem(word: str) -> str:
    """Return the stem of a word in lower case."""
    if word in _WHOLE:
        return _WHOLE[word]
    if len(word) <= 2:
        return word
    word = _with_consonant_ys(word.removeprefix("'"))
    first, second = _regions(word)
    word = _step_1a(_step_0(word))
    if word in _FINISHED:
        return word
    word = _step_1c(_step_1b(word, first))
    word = _step_3(_step_2(word, first), first, second)
    word = _step_5(_step_4(word, second), first, second)
    return word.replace("Y", "y")


def _with_consonant_ys(word: str) -> str:
    """Write a y that is a consonant as Y: at the beginning and after a vowel."""
    letters = list(word)
    for at, letter in enumerate(letters):
        if letter == "y" and (at == 0 or letters[at - 1] in _VOWELS):
            letters[at] = "Y"
    return "".join(letters)


def _regions(word: str) -> tuple[int, int]:
    """Return where R1 and R2 begin. Both are the length of the word if they are empty."""
    start = next((len(each) for each in _LONG_STARTS if word.startswith(each)), None)
    first = _after_consonant(word, 0) if start is None else start
    return first, _after_consonant(word, first)


def _after_consonant(word: str, start: int) -> int:
    for at in range(start + 1, len(word)):
        if word[at] not in _VOWELS and word[at - 1] in _VOWELS:
            return at + 1
    return len(word)


def _has_vowel(part: str) -> bool:
    return not _VOWELS.isdisjoint(part)


def _ends_in_short_syllable(word: str) -> bool:
    if len(word) == 2:
        return word[0] in _VOWELS and word[1] not in _VOWELS
    return (
        len(word) > 2
        and word[-1] not in _VOWELS
        and word[-1] not in "wxY"
        and word[-2] in _VOWELS
        and word[-3] not in _VOWELS
    )


def _step_0(word: str) -> str:
    for suffix in ("'s'", "'s", "'"):
        if word.endswith(suffix):
            return word[: -len(suffix)]
    return word


def _step_1a(word: str) -> str:
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ied", "ies")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word.endswith("s") and not word.endswith(("us", "ss")) and _has_vowel(word[:-2]):
        return word[:-1]
    return word


def _step_1b(word: str, first: int) -> str:
    for suffix in ("eedly", "eed"):
        if word.endswith(suffix):
            return word[: -len(suffix)] + "ee" if len(word) - len(suffix) >= first else word
    suffix = next((each for each in ("ingly", "edly", "ing", "ed") if word.endswith(each)), "")
    rest = word[: len(word) - len(suffix)]
    if not suffix or not _has_vowel(rest):
        return word
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if rest.endswith(_DOUBLES):
        return rest[:-1]
    return rest + "e" if first >= len(rest) and _ends_in_short_syllable(rest) else rest


def _step_1c(word: str) -> str:
    if len(word) > 2 and word[-1] in "yY" and word[-2] not in _VOWELS:
        return word[:-1] + "i"
    return word


def _step_2(word: str, first: int) -> str:
    for suffix, other in _STEP_2.items():
        if word.endswith(suffix):
            rest = word[: -len(suffix)]
            right = len(rest) >= first
            if suffix == "ogi":
                right = right and rest.endswith("l")
            elif suffix == "li":
                right = right and rest[-1:] in _BEFORE_LI
            return rest + other if right else word
    return word


def _step_3(word: str, first: int, second: int) -> str:
    for suffix, other in _STEP_3.items():
        if word.endswith(suffix):
            rest = word[: -len(suffix)]
            return rest + other if len(rest) >= (second if suffix == "ative" else first) else word
    return word


def _step_4(word: str, second: int) -> str:
    for suffix in _STEP_4:
        if word.endswith(suffix):
            rest = word[: -len(suffix)]
            right = len(rest) >= second and (suffix != "ion" or rest.endswith(("s", "t")))
            return rest if right else word
    return word


def _step_5(word: str, first: int, second: int) -> str:
    rest = word[:-1]
    if word.endswith("e") and (
        len(rest) >= second or (len(rest) >= first and not _ends_in_short_syllable(rest))
    ):
        return rest
    return rest if word.endswith("ll") and len(rest) >= second else word
