"""The API on one page for people: plain HTML, without script, loading nothing."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 0.875rem/1.5 ui-monospace, monospace; }
pre { background: var(--soft); padding: 0.75rem; overflow-x: auto; border-radius: 0.25rem; }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
article { margin: 1.5rem 0; }
h3 { margin: 0; font-size: 1rem; }
h3 b { display: inline-block; min-width: 4rem; }
table { border-collapse: collapse; margin: 0.5rem 0; }
td, th { border: 1px solid var(--line); padding: 0.25rem 0.5rem; text-align: left; }
nav a { margin-right: 1rem; }
"""

_STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

Operation = tuple[str, str, Mapping[str, Any]]  # method, path, OpenAPI's operation


def page(document: Mapping[str, Any], base_url: str) -> str:
    """Return the page that lists every operation of an OpenAPI document, by tag.

    Args:
        document: the OpenAPI document.
        base_url: where the server is, for the examples.
    """
    tags = [tag for tag in document["tags"] if any(_operations(document, tag["name"]))]
    info = document["info"]
    sections = "".join(_section(document, tag, base_url) for tag in tags)
    links = "".join(f'<a href="#{_anchor(tag["name"])}">{escape(tag["name"])}</a>' for tag in tags)
    title = escape(f"{info['title']} {info['version']}: the API")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>"
        f"<h1>{title}</h1><p>{escape(info['description'])} Every route but "
        "<code>/health</code> needs a token. The same for programs: "
        '<a href="openapi.json">openapi.json</a>.</p>'
        f"<nav>{links}</nav>{sections}</body></html>"
    )


def _operations(document: Mapping[str, Any], tag: str) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"][-1:]:  # the last one is the route's own
                yield method.upper(), path, operation


def _section(document: Mapping[str, Any], tag: Mapping[str, str], base_url: str) -> str:
    name = tag["name"]
    shown = "".join(_article(*found, base_url) for found in _operations(document, name))
    heading = f'<h2 id="{_anchor(name)}">{escape(name.capitalize())}</h2>'
    return f"<section>{heading}<p>{escape(tag['description'])}</p>{shown}</section>"


def _anchor(tag: str) -> str:
    return escape(tag.replace(" ", "-"), quote=True)


def _article(method: str, path: str, operation: Mapping[str, Any], base_url: str) -> str:
    return (
        f'<article id="{escape(operation["operationId"], quote=True)}">'
        f"<h3><b>{escape(method)}</b> <code>{escape(path)}</code></h3>"
        f"<p>{escape(operation.get('description') or operation['summary'])}</p>"
        f"{_parameters(operation)}<pre>{escape(_curl(method, path, operation, base_url))}</pre>"
        "</article>"
    )


def _parameters(operation: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(p['name'])}</code></td><td>{escape(p['in'])}</td>"
        f"<td>{escape(_type(p['schema']))}</td><td>{escape(p.get('description', ''))}</td></tr>"
        for p in operation.get("parameters", ())
    )
    head = "<tr><th>parameter</th><th>in</th><th>type</th><th></th></tr>"
    return f"<table>{head}{rows}</table>" if rows else ""


def _type(schema: Mapping[str, Any]) -> str:
    """Return the type of a parameter in a few words; its default behind it."""
    kinds = [schema, *schema.get("anyOf", ())]
    words = [kind["type"] for kind in kinds if kind.get("type", "null") != "null"]
    default = schema.get("default")
    said = " or ".join(words) or "text"
    return said if default is None else f"{said}, {json.dumps(default)} by default"


def _curl(method: str, path: str, operation: Mapping[str, Any], base_url: str) -> str:
    words = ["curl"]
    if operation.get("security") != []:
        words.append('-H "Authorization: Bearer $PENSTOCK_TOKEN"')
    content = operation.get("requestBody", {}).get("content", {})
    if method != "GET":
        words.append(f"-X {method}")
    if "application/json" in content:
        words.append("-H 'Content-Type: application/json' -d @body.json")
    elif content:
        words.append("-T file")
    return " ".join([*words, f"'{base_url}{path}'"])
