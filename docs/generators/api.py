"""The REST API as tables, made from the OpenAPI document that the server itself answers with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, cast

from generators.markdown import table
from penstock.api import description
from penstock.api.app import build_app
from penstock.api.context import Context

Schema = Mapping[str, Any]
METHODS = ("get", "post", "put", "patch", "delete")
_REF = "#/components/schemas/"


def document() -> dict[str, Any]:
    """Return the OpenAPI document; describing the routes takes no store and no daemon."""
    about = SimpleNamespace(version="0", base_url=lambda: "http://127.0.0.1:8710")
    context = cast(Context, about)
    return description.document(build_app(context), context)


def routes(api: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield every route: its method, its path, and its operation."""
    for path, methods in api["paths"].items():
        for method in METHODS:
            if method in methods:
                yield method.upper(), path, methods[method]


def page() -> str:
    """Return every route by subject, then the fields of every document."""
    api = document()
    parts = [_subject(api, tag) for tag in api["tags"] if list(_routes_of(api, tag["name"]))]
    schemas = api["components"]["schemas"]
    documents = [_document(name, schema) for name, schema in _named(schemas)]
    return "\n\n".join([*parts, "## Documents", *documents])


def _routes_of(api: Mapping[str, Any], tag: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for method, path, operation in routes(api):
        if tag in operation["tags"][-1:]:  # the last one is the route's own
            yield method, path, operation


def _subject(api: Mapping[str, Any], tag: Mapping[str, str]) -> str:
    rows = [
        (
            f"`{method} {path.removeprefix(description.PREFIX)}`",
            operation["description"],
            _sent(operation),
            _answered(operation),
        )
        for method, path, operation in _routes_of(api, tag["name"])
    ]
    head = f"## {tag['name'].capitalize()}\n\n{tag['description']}\n\n"
    return head + table(("route", "what it does", "takes", "answers"), rows)


def _sent(operation: Mapping[str, Any]) -> str:
    """Return the body, the query parameters and the headers of a route."""
    content = operation.get("requestBody", {}).get("content", {})
    words = [_type(kind.get("schema", {})) for kind in content.values()]
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "query":
            words.append(f"`?{parameter['name']}`")
        if parameter["in"] == "header":
            words.append(f"header `{parameter['name']}`")
    return ", ".join(words) or "–"


def _answered(operation: Mapping[str, Any]) -> str:
    status, answer = next((s, a) for s, a in operation["responses"].items() if s != "default")
    kinds = [_type(kind["schema"]) for kind in answer.get("content", {}).values() if kind["schema"]]
    return f"{status} {', '.join(kinds)}".strip()


# ---- documents -----------------------------------------------------------------------------------


def _named(schemas: Mapping[str, Schema]) -> Iterator[tuple[str, Schema]]:
    """Yield the documents by name, each once: pydantic may list one for each direction."""
    seen = set()
    for name, schema in sorted(schemas.items()):
        short = _short(name)
        if short in seen or short.startswith("Body_") or name.startswith("Page_"):
            continue
        seen.add(short)
        yield short, schema


def _short(name: str) -> str:
    return name.removesuffix("-Input").removesuffix("-Output")


def _document(name: str, schema: Schema) -> str:
    text = schema.get("description", "")
    head = f"### {name}\n\n" + (f"{' '.join(text.split())}\n\n" if text else "")
    if "enum" in schema:
        return head + "One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + "."
    needed = schema.get("required", ())
    rows = [
        (
            f"`{field}`" + (" (needed)" if field in needed else ""),
            _type(about),
            about.get("description", ""),
        )
        for field, about in schema.get("properties", {}).items()
    ]
    return head + table(("field", "type", "meaning"), rows)


def _type(schema: Schema) -> str:
    """Return a JSON schema's type in a few words, with a link to a document of ours."""
    if "$ref" in schema:
        return _link(schema["$ref"].removeprefix(_REF))
    if "anyOf" in schema:
        return " or ".join(_type(kind) for kind in schema["anyOf"])
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_type(schema['items'])}" if "items" in schema else "list"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"object of {_type(values)}" if isinstance(values, dict) and values else "object"
    if schema.get("format") == "binary":
        return "bytes"
    if schema.get("format") == "date-time":
        return "time"
    return str(kind or "any")


def _link(name: str) -> str:
    if name.startswith("Page_"):
        return f"page of {_link(name.removeprefix('Page_').removesuffix('_'))}"
    if name.startswith("Body_"):
        return "object with `graph`"
    return f"[{_short(name)}](#{_short(name).lower()})"
