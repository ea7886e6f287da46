"""The JSON form of a schema's parts, as servers and clients exchange it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from ..embedding import config_to_embedding_function, embedding_function_to_config
from ..embedding.registry import config_to_sparse_function, sparse_function_to_config
from ..errors import InvalidArgumentError
from ..storage.interface.schema import misfit
from .cmek import Cmek
from .index_configs import HnswIndexConfig, SpannIndexConfig, SparseVectorIndexConfig, VectorIndexConfig
from .value_types import INDEX_CLASSES, VALUE_CLASSES, ValueTypes

_NO_FUNCTION = {"type": "unknown"}


def written(defaults: ValueTypes, keys: Mapping[str, ValueTypes], cmek: Cmek | None) -> dict[str, Any]:
    """Return the JSON form."""
    form: dict[str, Any] = {
        "defaults": _of_values(defaults),
        "keys": {key: _of_values(values) for key, values in keys.items()},
    }
    return form if cmek is None else form | {"cmek": cmek.to_dict()}


def _of_values(values: ValueTypes) -> dict[str, Any]:
    form: dict[str, Any] = {}
    for kind, (field, _) in VALUE_CLASSES.items():
        indexes = getattr(values, field)
        if indexes is None:
            continue
        form[kind] = {
            each.name: {"enabled": index.enabled, "config": _of_config(index.config)}
            for each in fields(indexes)
            if (index := getattr(indexes, each.name)) is not None
        }
    return form


def _of_config(config: Any) -> dict[str, Any]:
    if isinstance(config, SparseVectorIndexConfig):
        function = config.embedding_function
        form = {
            "embedding_function": _NO_FUNCTION if function is None else sparse_function_to_config(function)
        }
        return form | _given(source_key=config.source_key, bm25=config.bm25)
    if isinstance(config, VectorIndexConfig):
        return _of_vectors(config)
    return {}


def _of_vectors(config: VectorIndexConfig) -> dict[str, Any]:
    function = config.embedding_function
    form = {"type": "legacy"} if function is None else embedding_function_to_config(function)
    preferred = getattr(function, "default_space", None)
    space = preferred() if config.space is None and preferred is not None else config.space
    return _given(
        space=space,
        embedding_function=form,
        source_key=config.source_key,
        hnsw=None if config.hnsw is None else _given(**vars(config.hnsw)),
        spann=None if config.spann is None else _given(**vars(config.spann)),
    )


def _given(**settings: Any) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}


def read(data: Any) -> tuple[ValueTypes, dict[str, ValueTypes], Cmek | None]:
    """Read the JSON form. Unknown types and indexes are left out. Raises InvalidArgumentError."""
    if isinstance(data, Mapping):
        data = {"defaults": {}, "keys": {}, **data}
    why = misfit(data)
    if why is not None:
        raise InvalidArgumentError(f"Expected the JSON form of a schema: {why}")
    keys = {key: _values(values) for key, values in data["keys"].items()}
    cmek = data.get("cmek")
    return _values(data["defaults"]), keys, None if cmek is None else Cmek.from_dict(cmek)


def _values(form: Mapping[str, Any]) -> ValueTypes:
    values = ValueTypes()
    for kind, (field, of_values) in VALUE_CLASSES.items():
        if form.get(kind) is None:
            continue
        indexes = of_values()
        for each in fields(indexes):
            index = form[kind].get(each.name)
            if index is not None:
                made, settings = INDEX_CLASSES[each.name]
                setattr(indexes, each.name, made(index["enabled"], _config(settings, index["config"])))
        setattr(values, field, indexes)
    return values


def _config(kind: type, form: Mapping[str, Any]) -> Any:
    if kind is SparseVectorIndexConfig:
        function = _rebuilt(config_to_sparse_function, form.get("embedding_function"))
        return SparseVectorIndexConfig(
            embedding_function=function, source_key=form.get("source_key"), bm25=form.get("bm25")
        )
    if kind is VectorIndexConfig:
        hnsw, spann = form.get("hnsw"), form.get("spann")
        return VectorIndexConfig(
            space=form.get("space"),
            embedding_function=_rebuilt(config_to_embedding_function, form.get("embedding_function")),
            source_key=form.get("source_key"),
            hnsw=None if hnsw is None else _known(HnswIndexConfig, hnsw),
            spann=None if spann is None else _known(SpannIndexConfig, spann),
        )
    return kind()


def _known(kind: Any, settings: Mapping[str, Any]) -> Any:
    """Return settings without those that only other servers know."""
    return kind(**{name: settings[name] for name in vars(kind()) if name in settings})


def _rebuilt(build: Callable[[dict[str, Any]], Any], form: Any) -> Any:
    """Return the function of a stored form. None, with a warning, if it cannot be built in this process."""
    if not isinstance(form, Mapping) or form.get("type") != "known":
        return None
    try:
        return build(dict(form))
    except ValueError as error:
        warnings.warn(
            f"the schema's embedding function {form.get('name')!r} cannot be built: {error}",
            UserWarning,
            stacklevel=2,
        )
        return None
