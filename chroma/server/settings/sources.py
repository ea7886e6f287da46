"""Reads settings from command-line options, environment variables and a configuration file.

The order of precedence is: the option, CHROMA_<NAME>, the variables of other servers, the file, the default.
Unknown or wrong input raises an error that names it. An unknown variable that does not concern security only
gives a warning in the log.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from ...config import Settings
from ...errors import InvalidArgumentError
from .legacy_names import (
    KUBERNETES,
    KUBERNETES_VALUE,
    OLD_KEYS,
    OLD_VARIABLES,
    ONLY,
    REFUSED_KEYS,
    REFUSED_VARIABLES,
    SAFETY,
)
from .server_settings import About, ServerSettings, declared

_log = logging.getLogger("chroma.server")

CONFIG_VARIABLE = "CHROMA_CONFIG"
_PROVIDER = "CHROMA_SERVER_AUTHN_PROVIDER"
_CREDENTIALS = "CHROMA_SERVER_AUTHN_CREDENTIALS"
_CREDENTIALS_FILE = "CHROMA_SERVER_AUTHN_CREDENTIALS_FILE"
_GRANULARITY = "CHROMA_OTEL_GRANULARITY"
_TRUE = ("1", "true", "t", "yes", "y", "on")
_FALSE = ("0", "false", "f", "no", "n", "off")

# Variables of this package that are not settings of the server.
_OTHERS = {"CHROMA_MINILM_PATH", "CHROMA_ALLOW_DOWNLOAD", "CHROMA_EMBEDDING_THREADS"}

_DECLARED: dict[str, tuple[Any, About]] = {name: (default, about) for name, default, about in declared()}


def read_settings(options: Mapping[str, Any], environment: Mapping[str, str]) -> ServerSettings:
    """The settings from the options that are not None, the environment, and the configuration file.

    The option `config`, or CHROMA_CONFIG, names the file. Blank variables are treated as not set. Raises
    InvalidArgumentError for a value that cannot be read, or that requests a feature that the server lacks.
    The error names the option, variable or key.
    """
    given = {name: value for name, value in options.items() if value is not None}
    # Other servers ignore the case of variable names, so lower case must not hide one. Upper case wins.
    by_case = sorted(environment.items(), key=lambda found: found[0].isupper())
    environment = {_capital(name): text.strip() for name, text in by_case if text.strip()}
    config = given.pop("config", None) or environment.get(CONFIG_VARIABLE)
    values = read_file(Path(config)) if config else {}
    values |= _older(environment)
    for name, (default, about) in _DECLARED.items():
        variable = f"CHROMA_{name.upper()}"
        text = environment.get(variable)
        if text is not None and not KUBERNETES_VALUE.match(text):
            values[name] = _parsed(text, default, about, variable)
    return ServerSettings(**values | given)


# ---------------------------------------------------------------------------- variables


def _capital(name: str) -> str:
    return name.upper() if name.upper().startswith("CHROMA_") else name


def _older(environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings in variables with other servers' names. Rejects variables that cannot be applied."""
    _check_names(environment)
    values: dict[str, Any] = {}
    for old, name in OLD_VARIABLES.items():
        if old in environment:
            default, about = _DECLARED[name]
            values[name] = _parsed(environment[old], default, about, old)
    granularity = environment.get(_GRANULARITY, "all").lower()
    if granularity == "none":
        values.pop("otel_endpoint", None)
    elif granularity not in ("all", "operation", "operation_and_segment"):
        raise InvalidArgumentError(
            f"{_GRANULARITY} is {granularity!r}: expected none, operation, operation_and_segment or all"
        )
    return values | _authentication(environment)


def _authentication(environment: Mapping[str, str]) -> dict[str, str]:
    """The settings for the authentication provider of older servers. A single token is supported; password
    files are not."""
    provider = environment.get(_PROVIDER)
    kind = (provider or "").rpartition(".")[2].lower()
    if kind.startswith("basic"):
        raise _refused(
            _PROVIDER,
            "users and passwords are in the --auth-file, and bcrypt is not read: `chroma auth create NAME "
            "--kind basic --password-stdin` adds one with the password it had before",
        )
    if _CREDENTIALS_FILE in environment:
        raise _refused(
            _CREDENTIALS_FILE,
            "tokens are in the --auth-file: `chroma auth create NAME --kind token` adds one",
        )
    token = environment.get(_CREDENTIALS)
    if provider is None:
        if token is not None:
            raise _refused(_CREDENTIALS, f"without {_PROVIDER} it would protect nothing; set both")
        return {}
    if not kind.startswith("token"):
        raise _refused(_PROVIDER, "the one provider known is TokenAuthenticationServerProvider")
    if token is None:
        raise _refused(_PROVIDER, f"it needs {_CREDENTIALS} with the token")
    return {"auth_token": token}


def _check_names(environment: Mapping[str, str]) -> None:
    for name, (allowed, reason) in ONLY.items():
        if name in environment and environment[name].lower() not in allowed:
            raise _refused(name, reason)
    own = (
        {f"CHROMA_{name.upper()}" for name in _DECLARED} | {CONFIG_VARIABLE} | set(OLD_VARIABLES) | set(ONLY)
    )
    own |= {_PROVIDER, _CREDENTIALS, _CREDENTIALS_FILE, _GRANULARITY}
    clients = {key.upper() for key in Settings.KEYS} | _OTHERS
    for name in sorted(environment):
        if name in own or not name.startswith("CHROMA_"):
            continue
        starts = [start for start in REFUSED_VARIABLES if name.startswith(start)]
        if starts:
            raise _refused(name, REFUSED_VARIABLES[max(starts, key=len)])
        if name == "CHROMA_SERVER_SSL_ENABLED" and environment[name].lower() in _TRUE:
            if not {"CHROMA_SSL_CERTFILE", "CHROMA_SSL_KEYFILE"} <= set(environment):
                raise _refused(name, "set CHROMA_SSL_CERTFILE and CHROMA_SSL_KEYFILE, which turn TLS on")
            continue
        if name in clients or KUBERNETES.search(name) or KUBERNETES_VALUE.match(environment[name]):
            continue
        near = get_close_matches(name, own, 1, 0.8)
        hint = f"; the nearest known one is {near[0]}" if near else ""
        if SAFETY.search(name):
            raise _refused(name, f"no setting has that name{hint}")
        _log.warning("the variable %s means nothing here%s", name, hint)


def _refused(name: str, reason: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"the environment sets {name}: {reason}; unset {name} to start")


def _parsed(text: str, default: Any, about: About, variable: str) -> Any:
    if isinstance(default, bool):
        word = text.lower()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        raise InvalidArgumentError(f"{variable} is {text!r}: expected true or false")
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise InvalidArgumentError(f"{variable} is {text!r}: expected an integer") from None
    if isinstance(default, tuple):
        return _listed(text, variable)
    return _chosen(text, about)


def _chosen(text: str, about: About) -> str:
    """The choice in its standard spelling. The text may be in any case."""
    return next((choice for choice in about.choices if choice.lower() == text.lower()), text)


def _listed(text: str, variable: str) -> tuple[str, ...]:
    """The items of a JSON list, the format of the older variables, or of a comma-separated list."""
    if not text.startswith("["):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        listed = json.loads(text)
    except ValueError:
        listed = None
    if not isinstance(listed, list) or not all(isinstance(origin, str) for origin in listed):
        raise InvalidArgumentError(f"{variable} is {text!r}: expected a list of texts")
    return tuple(listed)


# ---------------------------------------------------------------------------- the file


def read_file(path: Path) -> dict[str, Any]:
    """The settings in a TOML or YAML file, by this package's names.

    Raises InvalidArgumentError if the file cannot be read or parsed, if a key is unknown (the error names
    the nearest known key), or if a value has the wrong type.
    """
    content = _content(path)
    if not isinstance(content, dict):
        raise InvalidArgumentError(
            f"{path} holds no settings: expected `name: value` or `name = value` lines"
        )
    values: dict[str, Any] = {}
    said: dict[str, str] = {}
    for key, value in _flat(content):
        name = OLD_KEYS.get(key, key)
        if name not in _DECLARED:
            raise InvalidArgumentError(f"{path} sets {key!r}: {_why_unknown(key)}")
        default, about = _DECLARED[name]
        if about.secret:
            raise InvalidArgumentError(
                f"{path} sets {key!r}: a secret is given by the variable CHROMA_{name.upper()}"
            )
        if name in said:
            raise InvalidArgumentError(
                f"{path} sets {key!r} and {said[name]!r}, which mean the same: keep one"
            )
        said[name] = key
        values[name] = _typed(value, default, about, f"{key!r} in {path}")
    return values


def _flat(content: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict) and str(key) not in REFUSED_KEYS:
            for inner, below in value.items():
                yield f"{key}.{inner}", below
        else:
            yield str(key), value


def _why_unknown(key: str) -> str:
    if key in REFUSED_KEYS:
        return f"{REFUSED_KEYS[key]}; remove the key"
    known = [name for name, (_, about) in _DECLARED.items() if not about.secret]
    near = get_close_matches(key.replace("-", "_"), [*known, *OLD_KEYS], 1, 0.5)
    return "no setting has that name" + (f"; the nearest is {near[0]!r}" if near else "")


def _typed(value: Any, default: Any, about: About, where: str) -> Any:
    if isinstance(default, tuple):
        listed = [value] if isinstance(value, str) else value
        if isinstance(listed, list) and all(isinstance(item, str) for item in listed):
            return tuple(listed)
    elif isinstance(value, type(default)) and isinstance(value, bool) == isinstance(default, bool):
        return _chosen(value, about) if isinstance(value, str) else value
    expected = {bool: "true or false", int: "an integer", str: "a text", tuple: "a list of texts"}
    raise InvalidArgumentError(f"{where} is {value!r}: expected {expected[type(default)]}")


def _content(path: Path) -> Any:
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise InvalidArgumentError(
            f"the configuration file {path} cannot be read: {error.strerror}"
        ) from None
    except UnicodeDecodeError:
        raise InvalidArgumentError(f"the configuration file {path} is not UTF-8") from None
    kind = path.suffix.lower()
    if kind == ".toml":
        return _toml(path, text)
    if kind in (".yaml", ".yml"):
        return _yaml(path, text)
    raise InvalidArgumentError(
        f"the configuration file {path} has no known ending: expected .toml, .yaml or .yml"
    )


def _toml(path: Path, text: str) -> Any:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InvalidArgumentError(f"{path} is no valid TOML: {error}") from None


def _yaml(path: Path, text: str) -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        """A YAML loader that rejects duplicate keys. YAML itself would silently use the last one."""

        def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            twice = next((key for key in keys if keys.count(key) > 1), None)
            if twice is not None:
                raise InvalidArgumentError(f"{path} sets {twice!r} twice: keep one")
            return super().construct_mapping(node, deep)

    try:
        loaded = yaml.load(text, Loader)  # noqa: S506 - a subclass of the safe one
    except yaml.YAMLError as error:
        raise InvalidArgumentError(f"{path} is no valid YAML: {' '.join(str(error).split())}") from None
    return {} if loaded is None else loaded
