"""The public names with their kinds, signatures and class members; commands, settings, variables.

Annotations are strings in the sources, so that signatures are equal in all Python versions. Private base
classes are omitted, because the class that defines a method is an internal detail.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import click

MODULES = (
    "chroma",
    "chroma.api",
    "chroma.api.async_client",
    "chroma.api.client",
    "chroma.api.collection_configuration",
    "chroma.api.models.AsyncCollection",
    "chroma.api.models.Collection",
    "chroma.api.shared_system_client",
    "chroma.api.types",
    "chroma.config",
    "chroma.embedding",
    "chroma.errors",
    "chroma.factories",
    "chroma.types",
    "chroma.utils",
    "chroma.utils.batch_utils",
    "chroma.utils.data_loaders",
    "chroma.utils.embedding_functions",
    "chroma.utils.results",
)

# created by the package, never by users, so their constructors are not public
HANDLES = {
    "AdminClient",
    "AsyncAdminClient",
    "AsyncClient",
    "AsyncCollection",
    "Client",
    "Collection",
}
SPECIAL = (
    "__init__",
    "__call__",
    "__enter__",
    "__exit__",
    "__aenter__",
    "__aexit__",
    "__iter__",
    "__aiter__",
    "__len__",
    "__bool__",
    "__contains__",
    "__getitem__",
    "__eq__",
    "__str__",
    "__repr__",
    "_repr_html_",
    "__arrow_c_stream__",
    "trace_id",
)
_VARIABLE = re.compile(r"(CHROMA|ANONYMIZED|ALLOW|IS_PERSISTENT|PERSIST|PROMETHEUS|OTEL)_?[A-Z0-9_]*")


def frozen() -> dict[str, Any]:
    """Return all public names as JSON data."""
    settings = import_module("chroma.config").Settings
    found = {
        "modules": {name: dict(_module(import_module(name))) for name in MODULES},
        "classes": dict(sorted(_classes().items())),
        "command": _command(import_module("chroma.cli").cli),
        "settings": {key: _value(value) for key, value in settings()},
        "variables": sorted({*_variables(), *(key.upper() for key in settings.KEYS)}),
    }
    return {"names": found}


def _module(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Yield a line for each name. Classes are described in separate entries."""
    written = {} if hasattr(module, "__all__") else _written(module)
    for name in sorted(_public(module)):
        value = getattr(module, name)
        if inspect.isclass(value) and value.__module__.split(".")[0] == "chroma":
            yield name, f"class {_home(value)}.{value.__name__}"
        elif inspect.isfunction(value):
            yield name, _called(value)
        elif inspect.ismodule(value):
            yield name, "module"
        elif isinstance(value, (str, int, float, tuple)):
            # the value of the version changes with each release and is checked elsewhere
            yield name, "str" if name == "__version__" else _value(value)
        else:
            yield name, written.get(name, "value")


def _public(module: ModuleType) -> set[str]:
    """Return the names in `__all__`, else the public names that the module defines."""
    listed = getattr(module, "__all__", None)
    return {name for name in _written(module) if not name.startswith("_")} if listed is None else set(listed)


def _written(module: ModuleType) -> dict[str, str]:
    """Return the names that a module defines, with the source of the assigned values."""
    assert module.__file__ is not None
    tree = ast.parse(Path(module.__file__).read_bytes())
    found = {}
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found[node.name] = ""
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            found[node.target.id] = ast.unparse(node.value)
        elif isinstance(node, ast.Assign):
            value = ast.unparse(node.value)
            found.update({target.id: value for target in node.targets if isinstance(target, ast.Name)})
    return found


def _classes() -> dict[str, Any]:
    """Return the entry of each public class, once."""
    found = {}
    for module in map(import_module, MODULES):
        for name in _public(module):
            cls = getattr(module, name)
            if inspect.isclass(cls) and cls.__module__.split(".")[0] == "chroma":
                found[f"{_home(cls)}.{cls.__name__}"] = _class(cls)
    return found


def _home(cls: type[Any]) -> str:
    """Return the public module of a class: its `__module__` if public, else the first module that has it."""
    found = [name for name in MODULES if getattr(import_module(name), cls.__name__, None) is cls]
    return cls.__module__ if cls.__module__ in found else found[0]


def _class(cls: type[Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"is": [base for base in map(_named, cls.__mro__[1:]) if base is not None]}
    if fields := dict(_fields(cls)):
        described["fields"] = fields
    members = {}
    for name, member in _members(cls):
        if isinstance(member, property):
            members[name] = f"property{_result(member.fget)}"
        elif isinstance(member, (staticmethod, classmethod)):
            members[name] = f"{type(member).__name__} {_called(member.__func__)}"
        elif inspect.isfunction(member):
            members[name] = _called(member)
        elif isinstance(member, (str, int, tuple, type(None))):
            members[name] = _value(member)
    return described | {"members": dict(sorted(members.items()))}


def _named(base: type[Any]) -> str | None:
    """Return the name of a public base class. None for other bases."""
    if base is object:
        return None
    if base.__module__ in MODULES or base.__module__ in ("builtins", "enum"):
        # the bases of Enum differ between Python versions
        return None if base.__name__ in ("ReprEnum", "StrEnum") else f"{base.__module__}.{base.__qualname__}"
    return None


def _fields(cls: type[Any]) -> Iterator[tuple[str, str]]:
    if dataclasses.is_dataclass(cls):
        for field in dataclasses.fields(cls):
            default = "" if field.default is dataclasses.MISSING else f" = {_value(field.default)}"
            if field.default_factory is not dataclasses.MISSING:
                default = f" = {getattr(field.default_factory, '__name__', '…')}()"
            yield field.name, _plain(field.type) + default
    elif issubclass(cls, enum.Enum):
        yield from ((member.name, _value(member.value)) for member in cls)
    elif issubclass(cls, tuple) or hasattr(cls, "__total__"):  # NamedTuple, TypedDict
        for name, kind in inspect.get_annotations(cls).items():
            yield name, _plain(kind)


def _members(cls: type[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the public methods, properties and constants of a class and of its bases in this package."""
    seen: set[str] = set()
    fields = {"__init__"} if cls.__name__ in HANDLES else set()
    fields |= {field.name for field in dataclasses.fields(cls)} if dataclasses.is_dataclass(cls) else set()
    if issubclass(cls, (tuple, enum.Enum)) or hasattr(cls, "__total__"):
        fields |= {"__init__", *inspect.get_annotations(cls), *getattr(cls, "__members__", ())}
    if getattr(cls, "_is_protocol", False):
        fields.add("__init__")
    for base in cls.__mro__:
        if base.__module__.split(".")[0] != "chroma":
            continue
        for name, member in vars(base).items():
            if name in seen | fields or (name.startswith("_") and name not in SPECIAL):
                continue
            seen.add(name)
            yield name, member


def _called(function: Any) -> str:
    """Return the signature as `(parameters) -> result`, as in the source."""
    signature = inspect.signature(function)
    texts: list[str] = []
    starred = positional = False
    for each in signature.parameters.values():
        if positional and each.kind is not each.POSITIONAL_ONLY:
            texts.append("/")
        positional = each.kind is each.POSITIONAL_ONLY
        if each.kind is each.KEYWORD_ONLY and not starred:
            texts.append("*")
        starred = starred or each.kind in (each.KEYWORD_ONLY, each.VAR_POSITIONAL)
        stars = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        kind = "" if each.annotation is each.empty else f": {_plain(each.annotation)}"
        default = "" if each.default is each.empty else f" = {_value(each.default)}"
        texts.append(f"{stars}{each.name}{kind}{default}")
    word = "async " if inspect.iscoroutinefunction(function) else ""
    return f"{word}({', '.join(texts)}){_result(function)}"


def _result(function: Any) -> str:
    result = inspect.signature(function).return_annotation
    return "" if result is inspect.Signature.empty else f" -> {_plain(result)}"


def _plain(annotation: Any) -> str:
    """Return an annotation without module names."""
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = re.sub(r"\bForwardRef\(('[^']*')(, [^)]*)?\)", r"\1", text)
    text = re.sub(r"\b[a-z_]+(\.\w+)*\.(?=[A-Z])", "", text)
    return re.sub(r"\b_(?=[A-Z])|['\"]", "", text)


def _value(value: Any) -> str:
    text = repr(value)
    return "…" if " at 0x" in text or text.startswith("<") else text


def _command(command: click.Command) -> dict[str, Any]:
    """Return the options, arguments and subcommands of a command, without help texts."""
    described: dict[str, Any] = {}
    for each in command.params:
        if isinstance(each, click.Option) and each.name != "help":
            described[" ".join([*each.opts, *each.secondary_opts])] = _parameter(each)
        elif isinstance(each, click.Argument):
            described[str(each.name).upper()] = _parameter(each)
    found: dict[str, Any] = {"parameters": described} if described else {}
    if isinstance(command, click.Group):
        context = click.Context(command)
        names = command.list_commands(context)
        found["commands"] = {name: _command(_loaded(command, context, name)) for name in sorted(names)}
    return found


def _loaded(group: click.Group, context: click.Context, name: str) -> click.Command:
    command = group.get_command(context, name)
    assert command is not None, name
    return command


def _parameter(each: click.Parameter) -> str:
    kind = each.type
    words = [" or ".join(map(str, kind.choices)) if isinstance(kind, click.Choice) else kind.name]
    words += ["flag"] if getattr(each, "is_flag", False) else []
    words += ["repeatable"] if each.multiple else []
    words += ["required"] if each.required else []
    words += [f"{each.nargs} values"] if each.nargs != 1 else []
    default = each.default
    # for a missing default, older releases of click return False, later ones None or a special value
    if default not in (None, False, ()) and not callable(default) and type(default).__module__ == "builtins":
        words.append(f"default {default!r}")
    return ", ".join(words)


def _variables() -> set[str]:
    """Return the names of environment variables that occur as strings in the sources."""
    package = import_module("chroma")
    assert package.__file__ is not None
    found = set()
    root = Path(package.__file__).parent
    for folder in (root, root / "storage"):  # `storage` may be a link, which `rglob` does not follow
        for file in folder.rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_bytes())):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    if _VARIABLE.fullmatch(node.value) or node.value.endswith("_API_KEY"):
                        found.add(node.value)
    return {name for name in found if "_" in name.strip("_") and name == name.upper()}
