"""The API described: the OpenAPI 3.1 document."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from penstock.api.context import Context
from penstock.api.problems import MEDIA_TYPE

PREFIX = "/api/v1"

_TAGS = {
    "server": "The server itself.",
    "workspaces": "The boundary of names and data.",
    "experiments": "Names under which runs are grouped.",
    "datastores": "Places where data lives, and the objects in them.",
    "snapshots": "Source folders of steps, uploaded once per content.",
    "pipelines": "Graphs of steps, and published pipelines.",
    "runs": "Executions of pipelines.",
    "step runs": "Executions of steps, with their logs and files.",
    "metrics": "Values that runs and step runs have logged.",
    "schedules": "Triggers: when they fire, and why they did or did not.",
}

_TEXT = {"type": "string"}
_PROBLEM = {
    "title": "Problem",
    "description": "What went wrong (RFC 9457). Further members depend on `code`.",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {**_TEXT, "description": "urn:penstock:error:<code>"},
        "title": {**_TEXT, "description": "What the code means."},
        "status": {"type": "integer", "description": "The HTTP status, again."},
        "code": {**_TEXT, "description": "Stable; to be compared by programs."},
        "detail": {**_TEXT, "description": "What happened here, for people."},
        "field": {**_TEXT, "description": "The field at fault, dotted."},
        "expected": {**_TEXT, "description": "What would have been right."},
        "hint": {**_TEXT, "description": "How to mend it."},
        "errors": {
            "type": "array",
            "description": "All faults, when several were found.",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": _TEXT, "message": _TEXT},
            },
        },
        "retry_after": {"type": "number", "description": "Seconds, when trying again may help."},
    },
}

# Written at each operation, in place of the answer that FastAPI would describe by itself.
PROBLEM_RESPONSE: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "What went wrong.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}
_BINARY = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
UPLOAD = {"requestBody": {"required": True, "content": _BINARY}}
DOWNLOAD: dict[int | str, dict[str, Any]] = {
    200: {"description": "The bytes.", "content": _BINARY},
}


def document(app: FastAPI, context: Context) -> dict[str, Any]:
    """Return the OpenAPI document of `app`; made at the first call, then kept."""
    if not app.openapi_schema:
        app.openapi_schema = _made(app, context)
    return app.openapi_schema


def _made(app: FastAPI, context: Context) -> dict[str, Any]:
    made = get_openapi(
        title="Penstock",
        version=context.version,
        summary="Publish machine-learning pipelines, trigger them, watch them run.",
        description="Errors are problem documents. Lists are paged: pass `next` as `after`.",
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
        servers=[{"url": context.base_url()}],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    components = made.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = _PROBLEM
    components["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "The administrator's token, or the one of a running step.",
        }
    }
    made["security"] = [{"token": []}]
    made["paths"][f"{PREFIX}/health"]["get"]["security"] = []
    return made
