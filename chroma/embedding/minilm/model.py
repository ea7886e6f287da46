"""The all-MiniLM-L6-v2 model, which converts texts to unit vectors.

Invariant: up to rounding, the vector of a text depends only on the text and the weights. The other
texts in the call, and their grouping into batches, change a component by less than 1e-5.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
from tokenizers import Tokenizer

from ...errors import CorruptionError, InvalidArgumentError, NotFoundError
from ...internal.progress import bar
from ..core.cut_texts import tell
from ..core.inputs import checked
from .tokens import MAX_TOKENS, bert_tokenizer, vocabulary
from .weights import Weights, download_allowed, find

if TYPE_CHECKING:
    from tokenizers import Encoding

DIMENSION = 384
THREADS_VARIABLE = "CHROMA_EMBEDDING_THREADS"

_BATCH = 32  # texts in a batch at most
_BATCH_TOKENS = 2_048  # tokens in a batch at most, so that one takes half a second: Ctrl-C waits for a batch
_WINDOW = 4_096  # texts tokenised and sorted at a time, which bounds memory for any input size
_LONG_TEXT = 16_384  # characters; of longer texts, a prefix is tokenised
_LONGEST = 65_536  # characters of a text that are looked at for its first 256 tokens
_WORD = 1_000  # characters; of a word of over 100, the tokenizer makes one token. The rest is for accents

# The result of the original weights for the probe text, as int8 up to a factor. Detects wrong or damaged
# weights.
_PROBE_TEXT = "A database keeps what it was told."
_PROBE_VECTOR = (
    "/wmyFe0SJdsBCPw3Wdy3EgoG8tbtCwdLABL4GuTZ+hghQtjt9AUL1+vc7kn8I9AX3Dm97BsQJzIbG6o7+PfRLhkr/ws5p9gL"
    "zTHxCQn+GQ6v9A8eJ8NQ6QL46bM0+Nkm+exeD/wy6f/n1QzzEQbbLwX2Fe7cNdPx/y0j9/j/5gAKACgE8ijDExBA5lPvGyVf"
    "7F0U7Tf/GfhZ+OgbH/wLxPbmTgn93S4FGvbnCfwZwQfiARMa7AcJLhTSOiAP5gf2+Dfd2lQA3ggn+Kjkq83pCBu61BP/BPvT"
    "1v76DAT6GgDC6eT99tne8NL09Oz79eQpEODaUuMZvRAOB9mu/w3ovcnospci4fQ6+EfJ3dfwozsX7jXZLOweDdsQJB35C9g6"
    "BQz4Gc7vRvYJLTgGpNTbFQXhMhAa2e264P3JAIER4wDi5yDtUuoHTPblLhzBDh8IS874JfUzAA0s6utj80g262zmDygLDPDo"
    "8vYDNxz6H94EBQ3YHjP4CQcEDO4FFSr/"
)
_PROBE_COSINE = 0.98  # the int8 weights reach at least 0.995; other models stay near 0


class Model:
    """A loaded copy of the model. Safe to use from several threads.

    providers  onnxruntime execution providers, best first; empty: the CPU
    threads    maximum number of threads per call
    """

    def __init__(self, weights: Weights, providers: Sequence[str], threads: int) -> None:
        self.weights = weights
        self._tokenizer = _tokenizer(weights)
        self._session = _session(weights, providers, threads)
        expected = np.frombuffer(base64.b64decode(_PROBE_VECTOR), dtype=np.int8).astype(np.float32)
        answered = self._run(self._encode([_PROBE_TEXT]))[0]
        cosine = float(answered @ expected / np.linalg.norm(expected))
        if not cosine >= _PROBE_COSINE:
            raise CorruptionError(
                f"The weights in {weights.model} are damaged or of another model than all-MiniLM-L6-v2: "
                f"a known sentence came out with cosine {cosine:.3f} instead of above {_PROBE_COSINE}. "
                "Remove or replace that folder.",
                path=str(weights.model),
            )

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed `texts`. Returns float32 (n, 384) of unit length. An empty text has a vector like any other.

        Raises InvalidArgumentError if `texts` is empty, InvalidTypeError for non-strings.
        """
        given = checked(texts)
        result = np.empty((len(given), DIMENSION), dtype=np.float32)
        cut = 0
        shown_bar = bar(None, "embedding", total=len(given), unit=" texts")
        try:
            for start in range(0, len(given), _WINDOW):
                encodings = self._encode(given[start : start + _WINDOW])
                cut += sum(map(_is_cut, encodings, given[start : start + _WINDOW]))
                for rows in _by_length(encodings):
                    result[start + rows] = self._run([encodings[row] for row in rows])
                    if shown_bar is not None:
                        shown_bar.update(len(rows))
        finally:
            if shown_bar is not None:
                shown_bar.close()
        tell(cut, len(given), MAX_TOKENS)
        return result

    def _encode(self, texts: Sequence[str]) -> list[Encoding]:
        # Encoding one text at a time costs 1 % of the model's time. It starts none of the library's threads,
        # whose number cannot be set and which a fork would lose.
        return [self._tokenizer.encode(self._shortened(text)) for text in texts]

    def _shortened(self, text: str) -> str:
        """Return a prefix with the same first 256 tokens, or one of `_LONGEST` characters.

        The tokenizer holds the interpreter's lock, and reads texts to their end: 100 MB would stop the
        process for a minute. A cut changes no word but the last one. If the last token ends far before the
        cut, it is of an earlier word, because a word of more than `_WORD` characters is one token to its end.
        """
        size = _LONG_TEXT
        while size < min(len(text), _LONGEST):
            encoding = self._tokenizer.encode(text[:size])
            if len(encoding.ids) == MAX_TOKENS and encoding.offsets[-2][1] < size - _WORD:
                return text[:size]
            size *= 4
        return text[:_LONGEST]

    def _run(self, encodings: Sequence[Encoding]) -> npt.NDArray[np.float32]:
        width = max(len(encoding.ids) for encoding in encodings)
        ids = np.zeros((len(encodings), width), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        feed = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self._session.run(None, feed)[0]
        # mean over the real tokens, without the division by their number, which the normalisation cancels
        pooled = np.einsum("nth,nt->nh", hidden, mask.astype(np.float32))
        pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
        return np.asarray(pooled, dtype=np.float32)


def load(providers: tuple[str, ...] = (), path: str | None = None, download: bool = False) -> Model:
    """Return the model for these settings, which is loaded once per process and shared by all threads.

    Raises NotFoundError if no weights are found and a download is not allowed.
    """
    with _lock:
        weights = _obtain(path, download)
        key = (str(weights.model), providers, _threads())
        if key not in _loaded:
            _loaded[key] = Model(weights, providers, key[2])
        return _loaded[key]


_loaded: dict[tuple[str, tuple[str, ...], int], Model] = {}
_lock = threading.Lock()


_orphans: list[Model] = []


def _forget() -> None:
    """Forget the loaded models in a forked child, which lacks the threads of the inherited sessions.

    The sessions are kept, because freeing a session would wait for these threads forever.
    """
    global _lock
    _lock = threading.Lock()
    _orphans.extend(_loaded.values())
    _loaded.clear()


os.register_at_fork(after_in_child=_forget)


def _obtain(path: str | None, download: bool) -> Weights:
    try:
        return find(path)
    except NotFoundError:
        if not (download or download_allowed()):
            raise
        from .download import download as fetch  # only a download needs a network client

        return fetch()


def _threads() -> int:
    """Return the value of CHROMA_EMBEDDING_THREADS, else the number of CPUs that this process may use."""
    setting = os.environ.get(THREADS_VARIABLE, "").strip()
    if not setting:
        # some platforms lack CPU affinity; cpu_count is None if the number is unknown
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not setting.isascii() or not setting.isdigit() or not 1 <= int(setting) <= 1024:
        raise InvalidArgumentError(
            f"{THREADS_VARIABLE}={setting!r} must be a whole number from 1 to 1024, or unset for all CPUs."
        )
    return int(setting)


def _session(weights: Weights, providers: Sequence[str], threads: int) -> ort.InferenceSession:
    available = ort.get_available_providers()
    if missing := [name for name in providers if name not in available]:
        raise InvalidArgumentError(
            f"Preferred providers {missing} are not available in this onnxruntime; it has {available}."
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # idle threads must sleep, because between two calls the rest of the program needs the CPUs
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    data = weights.read()
    try:
        session = ort.InferenceSession(data, options, providers=list(providers) or ["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no common base class for its errors
        raise CorruptionError(
            f"{weights.model} cannot be loaded as an ONNX model ({type(error).__name__}: {error}). "
            "Remove or replace that folder.",
            path=str(weights.model),
        ) from error
    names = {node.name for node in session.get_inputs()}
    if names != {"input_ids", "attention_mask", "token_type_ids"}:
        raise CorruptionError(
            f"{weights.model} is not all-MiniLM-L6-v2: its inputs are {sorted(names)}.",
            path=str(weights.model),
        )
    return session


def _tokenizer(weights: Weights) -> Tokenizer:
    if weights.tokenizer is None:
        tokenizer = bert_tokenizer()
    else:
        try:
            tokenizer = Tokenizer.from_file(str(weights.tokenizer))
        except Exception as error:  # the library raises plain Exception
            raise CorruptionError(
                f"{weights.tokenizer} cannot be read as a tokenizer ({error}). Replace the folder.",
                path=str(weights.tokenizer),
            ) from error
        if tokenizer.get_vocab(with_added_tokens=False) != vocabulary():
            raise CorruptionError(
                f"{weights.tokenizer} has another vocabulary than all-MiniLM-L6-v2. Replace the folder.",
                path=str(weights.tokenizer),
            )
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def _is_cut(encoding: Encoding, text: str) -> bool:
    """Whether the text has more tokens than the model reads. Of a long text, only a prefix was encoded."""
    return len(encoding.ids) == MAX_TOKENS and (len(text) >= _LONG_TEXT or bool(encoding.overflowing))


def _by_length(encodings: Sequence[Encoding]) -> Iterator[npt.NDArray[np.intp]]:
    """Yield row numbers in batches of texts of similar length, longest first, to keep padding small."""
    lengths = np.fromiter((len(encoding.ids) for encoding in encodings), dtype=np.int64)
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, min(_BATCH, _BATCH_TOKENS // int(lengths[order[start]])))
        yield order[start : start + size]
        start += size
