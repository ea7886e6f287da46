"""install_as_chromadb: programs written for Chroma run on this package unchanged."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

PROGRAM = """
import chroma
chroma.install_as_chromadb()

import chromadb
import chromadb.config
import chromadb.utils.embedding_functions as functions
from chromadb import Collection, Documents, EmbeddingFunction, Embeddings, QueryResult, Settings
from chromadb.api import AdminAPI, ClientAPI, ServerAPI
from chromadb.api.client import SharedSystemClient
from chromadb.api.collection_configuration import CreateCollectionConfiguration, UpdateHNSWConfiguration
from chromadb.api.models.Collection import Collection as FromModels
from chromadb.api.types import Document, GetResult, Include, Metadata, Where, WhereDocument
from chromadb.config import DEFAULT_DATABASE, DEFAULT_TENANT, Settings as FromConfig
from chromadb.errors import ChromaError, InvalidArgumentError, NotFoundError
from chromadb.utils.batch_utils import create_batches
from chromadb.utils.embedding_functions import DefaultEmbeddingFunction, register_embedding_function
from chromadb.utils.results import get_result_to_df

assert chromadb.errors.NotFoundError is NotFoundError
assert FromConfig is Settings and FromModels is Collection
assert chromadb.PersistentClient is chroma.PersistentClient

client = chromadb.EphemeralClient()
things = client.get_or_create_collection("things", embedding_function=None)
things.add(ids=["a"], embeddings=[[1, 2]], metadatas=[{"n": 1}])
assert isinstance(things, Collection) and isinstance(client, ClientAPI)
assert things.query(query_embeddings=[[1, 2]])["ids"] == [["a"]]
try:
    client.get_collection("nobody")
except chromadb.errors.NotFoundError:
    print("done")
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60
    )


def test_a_program_for_chroma_runs() -> None:
    done = run(PROGRAM)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr


def test_installing_twice_is_fine() -> None:
    done = run("import chroma; chroma.install_as_chromadb(); chroma.install_as_chromadb(); import chromadb")
    assert done.returncode == 0, done.stderr


def test_the_name_is_not_taken_without_asking() -> None:
    done = run("import chroma, sys; print('chromadb' in sys.modules)")
    assert done.stdout == "False\n", done.stderr
