"""Constructors, settings, reset, close: the life of a client."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

import chroma
from chroma.errors import AuthorizationError, ChromaError, NotFoundError

from ..support.checks import fill, refused


def test_heartbeat_is_now_in_nanoseconds(client: Any) -> None:
    assert abs(client.heartbeat() - time.time_ns()) < 60e9


def test_the_version_is_the_packages(client: Any) -> None:
    """Edge 19."""
    assert client.get_version() == chroma.__version__


def test_the_batch_size_is_generous(client: Any) -> None:
    """Edge 20."""
    assert client.get_max_batch_size() >= 100_000


def test_the_identity_names_the_tenant(client: Any) -> None:
    identity = client.get_user_identity()
    assert identity.tenant == "default_tenant"
    assert "default_database" in identity.databases


def test_a_client_knows_its_place(client: Any) -> None:
    assert (client.tenant, client.database) == ("default_tenant", "default_database")
    assert isinstance(client.get_settings(), chroma.Settings)


def test_reset_wipes_everything(client: Any) -> None:
    admin = chroma.AdminClient(client.get_settings())
    admin.create_tenant("acme")
    handle = client.create_collection("things", embedding_function=None)
    fill(handle, 3)
    assert client.reset() is True
    assert client.list_collections() == []
    with refused(error=NotFoundError):
        handle.count()
    with refused(error=NotFoundError):
        admin.get_tenant("acme")


def test_a_client_works_after_reset(client: Any, reopen: Any) -> None:
    client.reset()
    fill(client.create_collection("things", embedding_function=None), 3)
    assert reopen(client).get_collection("things").count() == 3


def test_reset_is_refused_where_settings_say_so(tmp_path: Path) -> None:
    """Edge 39."""
    with chroma.PersistentClient(tmp_path, settings=chroma.Settings(allow_reset=False)) as client:
        client.create_collection("things")
        with refused("Reset is disabled", error=AuthorizationError):
            client.reset()
        assert client.count_collections() == 1


def test_reset_is_allowed_where_settings_say_so(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path, settings=chroma.Settings(allow_reset=True)) as client:
        assert client.reset() is True


def test_close_can_be_repeated(client: Any) -> None:
    assert client.close() is None
    assert client.close() is None


@pytest.mark.parametrize(
    "call",
    [
        lambda client, collection: client.list_collections(),
        lambda client, collection: client.create_collection("more"),
        lambda client, collection: collection.count(),
        lambda client, collection: collection.get(),
        lambda client, collection: collection.add(ids=["a"], embeddings=[[1, 2]]),
        lambda client, collection: collection.query(query_embeddings=[[1, 2]]),
    ],
    ids=["list", "create", "count", "get", "add", "query"],
)
def test_every_call_after_close_says_closed(tmp_path: Path, call: Any) -> None:
    client = chroma.PersistentClient(tmp_path / "db")
    collection = client.create_collection("things", embedding_function=None)
    client.close()
    with refused("closed", error=ChromaError):
        call(client, collection)


def test_with_closes(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path) as client:
        client.create_collection("things")
    with refused("closed", error=ChromaError):
        client.list_collections()


def test_closing_one_client_leaves_the_other(tmp_path: Path) -> None:
    one, two = chroma.PersistentClient(tmp_path), chroma.PersistentClient(tmp_path)
    fill(one.create_collection("things", embedding_function=None), 2)
    one.close()
    assert two.get_collection("things").count() == 2
    two.close()


def test_all_ephemeral_clients_share_one_store() -> None:
    """Edge 29."""
    with chroma.EphemeralClient() as one, chroma.EphemeralClient() as two, chroma.Client() as three:
        one.reset()
        one.create_collection("things")
        assert two.count_collections() == three.count_collections() == 1
        one.reset()


def test_the_folder_is_made_and_lies_where_asked(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down"
    with chroma.PersistentClient(str(path)) as client:
        client.create_collection("things")
    assert any(path.iterdir())


def test_the_default_path_is_dot_chroma(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with chroma.PersistentClient() as client:
        client.create_collection("things")
    assert os.listdir(tmp_path) == [".chroma"]


def test_a_folder_can_be_removed_after_close(tmp_path: Path) -> None:
    import shutil

    with chroma.PersistentClient(tmp_path / "db") as client:
        fill(client.create_collection("things", embedding_function=None), 100)
    shutil.rmtree(tmp_path / "db")
    with chroma.PersistentClient(tmp_path / "db") as client:
        assert client.list_collections() == []


def test_a_folder_can_be_copied_and_opened(tmp_path: Path) -> None:
    import shutil

    with chroma.PersistentClient(tmp_path / "db") as client:
        fill(client.create_collection("things", embedding_function=None), 100)
    shutil.copytree(tmp_path / "db", tmp_path / "copy")
    with chroma.PersistentClient(tmp_path / "copy") as client:
        assert client.get_collection("things").query(query_embeddings=[[7, 0]], n_results=1)["ids"] == [
            ["r7"]
        ]


@pytest.mark.parametrize("spell", [lambda p: f"{p}/", lambda p: f"{p}/../{p.name}", os.path.relpath, Path])
def test_two_spellings_of_a_path_are_one_database(tmp_path: Path, spell: Any) -> None:
    """Edge 28."""
    path = tmp_path / "db"
    with chroma.PersistentClient(path) as one, chroma.PersistentClient(spell(path)) as two:
        one.create_collection("things", embedding_function=None).add(ids=["a"], embeddings=[[1, 2]])
        two.get_collection("things").add(ids=["b"], embeddings=[[3, 4]])
        assert one.get_collection("things").query(query_embeddings=[[3, 4]])["ids"] == [["b", "a"]]


def test_a_symlink_to_a_path_is_the_same_database(tmp_path: Path) -> None:
    """Edge 28."""
    (tmp_path / "db").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "db")
    with chroma.PersistentClient(tmp_path / "db") as one, chroma.PersistentClient(tmp_path / "link") as two:
        one.create_collection("things")
        assert two.count_collections() == 1


def test_the_same_path_with_other_settings_is_refused(tmp_path: Path) -> None:
    with chroma.PersistentClient(tmp_path, settings=chroma.Settings(allow_reset=True)):
        with refused("different settings"):
            chroma.PersistentClient(tmp_path, settings=chroma.Settings(allow_reset=False))


def test_client_with_persistent_settings_opens_the_folder(tmp_path: Path) -> None:
    settings = chroma.Settings(is_persistent=True, persist_directory=str(tmp_path / "db"))
    with chroma.Client(settings) as client:
        client.create_collection("things")
    with chroma.PersistentClient(tmp_path / "db") as client:
        assert client.count_collections() == 1


def test_unknown_tenants_and_databases_are_not_found(tmp_path: Path) -> None:
    with refused("Tenant [nobody] not found", error=NotFoundError):
        chroma.PersistentClient(tmp_path, tenant="nobody")
    with refused("Database [nothing] not found", error=NotFoundError):
        chroma.PersistentClient(tmp_path, database="nothing")


def test_unknown_settings_are_ignored_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="never_heard_of"):
        assert chroma.Settings(never_heard_of=1).allow_reset is False


def test_settings_of_the_first_years_point_at_migration() -> None:
    with refused("chroma_db_impl"):
        chroma.Settings(chroma_db_impl="duckdb+parquet")


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALLOW_RESET", "true")
    assert chroma.Settings().allow_reset is True
    assert chroma.Settings(allow_reset=False).allow_reset is False


def test_a_path_given_as_bytes_or_number_is_refused() -> None:
    with refused("path"):
        chroma.PersistentClient(5)  # type: ignore[arg-type]


def test_a_forgotten_client_waits_for_nobody(tmp_path: Path) -> None:
    """The thread in which the garbage collector runs may be one that the holder of the lock waits for."""
    import threading

    from chroma.embedded import engines

    held: Any = [chroma.PersistentClient(tmp_path / "db")]
    engine = held[0]._backend.engine
    with engines._lock:
        thread = threading.Thread(target=held.clear)
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
        assert not engine.closed
    with chroma.PersistentClient(tmp_path / "other"):
        assert engine.closed


FORGETFUL = """
import gc, sys
import chroma

gc.set_threshold(1)
for number in range(20):
    client = chroma.PersistentClient(f"{sys.argv[1]}/{number}")
    client.itself = client
    client.create_collection("things", embedding_function=None)
    del client
print("done")
"""


def test_forgotten_clients_are_collected_at_any_moment(tmp_path: Path) -> None:
    """The garbage collector may run inside any call, also while another client is being opened."""
    import subprocess
    import sys

    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", FORGETFUL, str(tmp_path)], cwd=root, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "done\n", done.stderr
