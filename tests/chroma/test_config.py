"""Settings as programs use those of Chroma, which are a model of pydantic."""

from __future__ import annotations

import copy
from pathlib import Path

import pydantic
import pytest

import chroma
from chroma import Settings
from chroma.errors import InvalidArgumentError

from ..support.checks import refused


class Configuration(pydantic.BaseModel):
    settings: Settings = pydantic.Field(default_factory=Settings)


def test_a_field_of_a_model_takes_settings_or_their_keys() -> None:
    given = Settings(allow_reset=True)
    assert Configuration(settings=given).settings is given
    made = Configuration.model_validate(
        {"settings": {"persist_directory": "a", "is_persistent": "yes"}}
    ).settings
    assert made == Settings(persist_directory="a", is_persistent=True)
    assert made.given("persist_directory")
    assert not made.given("allow_reset")
    assert Configuration().settings == Settings()
    with pytest.raises(pydantic.ValidationError, match="Expected chroma.Settings or a mapping of its keys"):
        Configuration.model_validate({"settings": 5})
    with pytest.raises(pydantic.ValidationError, match=r"Settings\(allow_reset='perhaps'\)|allow_reset"):
        Configuration.model_validate({"settings": {"allow_reset": "perhaps"}})


def test_a_model_with_settings_becomes_json_and_is_read_back() -> None:
    written = Configuration(settings=Settings(chroma_server_host="localhost")).model_dump_json()
    assert Configuration.model_validate_json(written).settings.chroma_server_host == "localhost"
    assert Configuration.model_json_schema()["properties"]["settings"]["type"] == "object"


def test_a_field_of_a_dataclass_of_pydantic() -> None:
    @pydantic.dataclasses.dataclass(frozen=True)
    class Frozen:
        settings: Settings

    assert Frozen(Settings(allow_reset=True)).settings.allow_reset is True


def test_values_by_key() -> None:
    settings = Settings(allow_reset=True)
    assert settings.model_dump(exclude_unset=True) == {"allow_reset": True}
    assert set(settings.model_dump()) == set(Settings.KEYS)
    assert Settings(**settings.model_dump()) == settings


def test_a_copy_with_other_values() -> None:
    settings = Settings(chroma_server_headers={"a": "b"})
    changed = settings.model_copy(update={"allow_reset": True})
    assert (changed.allow_reset, changed.given("allow_reset"), settings.allow_reset) == (True, True, False)
    assert changed.chroma_server_headers == {"a": "b"}
    assert settings.copy(update={"chroma_server_host": "x"}).chroma_server_host == "x"
    deep = settings.model_copy(deep=True)
    assert deep == settings == copy.deepcopy(settings)
    assert deep.chroma_server_headers is not settings.chroma_server_headers
    with refused("no key 'nothing'", error=InvalidArgumentError):
        settings.copy(update={"nothing": 1})
    with refused("allow_reset=[]", error=InvalidArgumentError):
        settings.model_copy(update={"allow_reset": []})


def test_none_is_assigned_as_the_folder_of_a_client_that_needs_none(tmp_path: Path) -> None:
    """mem0 does so for its HTTP client."""
    settings = Settings()
    settings.persist_directory = None  # type: ignore[assignment]
    chroma.Client(settings).close()
    settings.is_persistent = True
    with refused("persist_directory was set to None", error=InvalidArgumentError):
        chroma.Client(settings)
    with chroma.PersistentClient(tmp_path, settings=settings) as client:
        assert client.count_collections() == 0


@pytest.mark.parametrize("key", ["persist_directory", "allow_reset", "chroma_http_retries"])
def test_none_is_refused_where_it_means_nothing(key: str) -> None:
    with refused(f"Settings({key}=None)", error=InvalidArgumentError):
        Settings(**{key: None})
    if key != "persist_directory":
        with refused(f"Settings({key}=None)", error=InvalidArgumentError):
            setattr(Settings(), key, None)


def test_no_secret_is_shown() -> None:
    """Settings are printed and logged."""
    settings = Settings(
        chroma_server_host="https://ana:s3cret@example.org/db",
        chroma_server_headers={"Authorization": "Bearer s3cret", "X-Name": "s3cret"},
        chroma_client_auth_provider="token",
        chroma_client_auth_credentials="s3cret",
    )
    assert "s3cret" not in repr(settings) and "ana" not in repr(settings)
    assert "'https://…@example.org/db'" in repr(settings) and "'X-Name': '…'" in repr(settings)
    assert "'example.org'" in repr(Settings(chroma_server_host="example.org"))
