"""Builds the OpenAPI document from the table of routes and the schemas, and a web page that shows it."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Iterable, Iterator
from typing import Any

from .._version import __version__
from ..wire.content_negotiation import MEDIA_TYPE
from .http.responses import Ready, to_json
from .parsing.schemas import ANSWERS, BODIES, COMPONENTS, OPTIONS, Schema
from .routes import ROUTES, Route

Document = dict[str, Any]

_JSON = "application/json"
# Handlers whose responses are not JSON.
_OTHER = {"metrics": "text/plain", "page": "text/html", "own_export": MEDIA_TYPE, "own_sql": MEDIA_TYPE}
_MAY_BE_EMPTY = frozenset({"own_export"})  # handlers whose body is optional

_PARTS: dict[str, Schema] = {
    "tenant": {"type": "string", "minLength": 1},
    "database": {"type": "string", "minLength": 1},
    "collection": {"type": "string", "format": "uuid", "description": "The collection's id"},
    "snapshot": {"type": "string", "minLength": 1, "description": "The name of a snapshot"},
    "crn": {"type": "string", "minLength": 1},
    "function": {"type": "string", "minLength": 1},
}
_NAME: Schema = {"type": "string", "minLength": 1, "description": "The collection's name"}
_BY_NAME = frozenset({"get_collection", "delete_collection"})


def document(routes: Iterable[Route] = ROUTES) -> Document:
    """The whole OpenAPI document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Chroma-on-Arrow",
            "version": __version__,
            "description": "Every answer has a chroma-trace-id and an X-Request-Id. Bodies may be "
            "compressed with gzip or deflate.",
        },
        "paths": paths,
        "components": {"schemas": COMPONENTS},
    }


def _operation(route: Route) -> Document:
    name = route.handler.__name__
    operation: Document = {"operationId": name, "summary": summary(route)}
    parameters = [*_path(route), *_query(name)]
    if parameters:
        operation["parameters"] = parameters
    if route.body:
        content: Document = {_JSON: {"schema": BODIES[name]}}
        content |= {other: {} for other in route.streamed}
        operation["requestBody"] = {"required": name not in _MAY_BE_EMPTY, "content": content}
    kind = _OTHER.get(name, _JSON)
    schema: Schema = {"type": "string"} if name in _OTHER else ANSWERS[name]
    refused: Document = {"content": {_JSON: {"schema": {"$ref": "#/components/schemas/Error"}}}}
    operation["responses"] = {
        str(route.status): {
            "description": "Done",
            "content": {kind: {"schema": schema}} | {other: {} for other in route.offers},
        },
        **{status: {"description": said} | refused for status, said in _early_errors(route)},
        "4XX": {"description": "Refused"} | refused,
        "5XX": {"description": "Failed, overloaded, too slow, or not offered here"} | refused,
    }
    return operation


def _early_errors(route: Route) -> Iterator[tuple[str, str]]:
    """Yields the status and description of the errors that can occur before the handler is called."""
    if route.method != "GET":
        yield "403", "The caller may not do this, or it comes from a page of an origin that may not"
        yield "415", "The Content-Type is none of those that are taken; forms send others"
    if route.body:
        yield "408", "The body does not arrive, or too slowly, or slowly while others wait for what it holds"
    yield "421", "The Host is no name of this server; see --allowed-host"
    yield "503", "Too much is under way, of all callers or of this one; Retry-After says when to try again"


def summary(route: Route) -> str:
    """The first line of the handler's docstring."""
    return (route.handler.__doc__ or "").strip().partition("\n")[0]


def _path(route: Route) -> list[Document]:
    parameters = []
    for part in route.path.split("/"):
        if part.startswith("{"):
            name = part.strip("{}")
            schema = _PARTS[name]
            if name == "collection" and route.handler.__name__ in _BY_NAME:
                schema = _NAME
            parameters.append({"name": name, "in": "path", "required": True, "schema": schema})
    return parameters


def _query(name: str) -> list[Document]:
    return [
        {"name": option, "in": "query", "required": False, "schema": schema}
        for option, schema in OPTIONS.get(name, {}).items()
    ]


def page(found: Document) -> Ready:
    """The document as HTML without external resources. Its headers make browsers block any others."""
    operations, contents = [], []
    for path, methods in found["paths"].items():
        for method, operation in methods.items():
            name = html.escape(operation["operationId"])
            contents.append(f'<li><a href="#{name}"><b>{method.upper()}</b> {html.escape(path)}</a></li>')
            operations.append(_shown(method, path, operation))
    schemas = "".join(
        f'<section id="schema-{name}"><h3>{name}</h3>{_code(schema)}</section>'
        for name, schema in found["components"]["schemas"].items()
    )
    info = found["info"]
    title = f"{html.escape(info['title'])} {html.escape(info['version'])}"
    shown = (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title><style>{_STYLE}</style>"
        f"<h1>{title}</h1><p>{html.escape(info['description'])} The same for programs: "
        '<a href="api/v2/openapi.json">openapi.json</a>.</p>'
        f"<ul>{''.join(contents)}</ul>{''.join(operations)}<h2>Shapes</h2>{schemas}</html>"
    )
    return Ready(shown.encode(), "text/html; charset=utf-8", _PAGE_HEADERS)


def _shown(method: str, path: str, operation: Document) -> str:
    name = html.escape(operation["operationId"])
    parts = [
        f'<section id="{name}"><h3><b>{method.upper()}</b> <code>{html.escape(path)}</code></h3>'
        f"<p>{html.escape(operation['summary'])}</p>"
    ]
    for parameter in operation.get("parameters", ()):
        said = parameter["schema"].get("description", "")
        parts.append(
            f"<p><code>{parameter['name']}</code> in the {parameter['in']}"
            f"{': ' + html.escape(said) if said else ''}</p>"
        )
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        parts.append(f"<h4>Body, {html.escape(kind)}</h4>{_code(body.get('schema', {}))}")
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            for kind, body in answer["content"].items():
                parts.append(f"<h4>{status}, {html.escape(kind)}</h4>{_code(body.get('schema', {}))}")
    return "".join(parts) + "</section>"


def _code(schema: Schema) -> str:
    return f"<pre>{html.escape(_brief(schema))}</pre>"


def _brief(schema: Schema, indent: str = "") -> str:
    """A schema in short, readable notation."""
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "enum" in schema or "const" in schema:
        return " | ".join(to_json(value).decode() for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " | ".join(_brief(part, indent) for part in schema["anyOf"])
    kind = schema.get("type", "anything")
    if kind == "array":
        return f"[{_brief(schema['items'], indent)}, …]"
    if kind == "object" and schema.get("properties"):
        required = schema.get("required", ())
        inner = indent + "  "
        lines = (
            f"{inner}{name}{'' if name in required else '?'}: {_brief(part, inner)}"
            for name, part in schema["properties"].items()
        )
        return "{\n" + "\n".join(lines) + f"\n{indent}}}"
    return " | ".join(kind) if isinstance(kind, list) else str(kind)


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color:#222;background:#fff}ul{columns:1;list-style:none;padding:0}pre{background:#f4f4f4;"
    "padding:.6rem;overflow:auto}section{border-top:1px solid #ddd}h4{margin:.5rem 0 0}"
    "code,pre{font-size:14px}a{color:#0645ad;text-decoration:none}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{background:#262626}"
    "section{border-color:#444}a{color:#8ab4f8}}"
)
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_PAGE_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
