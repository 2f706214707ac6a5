"""The routes as a whole: which there are, that none is open, how they describe themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from fastapi.routing import APIRoute
from tests.unit.api.client import Api

from penstock.api import docs
from penstock.api.app import ROUTERS
from penstock.api.description import PREFIX
from penstock.api.server import short_router

ROUTES = """
GET    /health
GET    /server
GET    /openapi.json
GET    /docs
GET    /workspaces
POST   /workspaces
GET    /workspaces/{workspace}
GET    /workspaces/{workspace}/experiments
PUT    /workspaces/{workspace}/experiments/{name}
GET    /workspaces/{workspace}/experiments/{name}
PATCH  /workspaces/{workspace}/experiments/{name}
GET    /workspaces/{workspace}/compute-targets
GET    /workspaces/{workspace}/activity
GET    /workspaces/{workspace}/datastores
GET    /workspaces/{workspace}/datastores/{datastore}
GET    /workspaces/{workspace}/datastores/{datastore}/files
GET    /workspaces/{workspace}/datastores/{datastore}/files/{path:path}
PUT    /workspaces/{workspace}/datastores/{datastore}/files/{path:path}
POST   /workspaces/{workspace}/blobs/missing
PUT    /workspaces/{workspace}/blobs/{sha256}
POST   /workspaces/{workspace}/snapshots
POST   /workspaces/{workspace}/graphs/validate
GET    /workspaces/{workspace}/graphs/{graph_id}
POST   /workspaces/{workspace}/pipelines
GET    /workspaces/{workspace}/pipelines
GET    /workspaces/{workspace}/pipelines/{pipeline_id}
PATCH  /workspaces/{workspace}/pipelines/{pipeline_id}
POST   /workspaces/{workspace}/runs
GET    /workspaces/{workspace}/runs
GET    /workspaces/{workspace}/runs/{run_id}
PATCH  /workspaces/{workspace}/runs/{run_id}
POST   /workspaces/{workspace}/runs/{run_id}/cancel
GET    /workspaces/{workspace}/runs/{run_id}/steps
GET    /workspaces/{workspace}/runs/{run_id}/graph
GET    /workspaces/{workspace}/runs/{run_id}/metrics
POST   /workspaces/{workspace}/runs/{run_id}/metrics
GET    /workspaces/{workspace}/step-runs/{step_run_id}
PATCH  /workspaces/{workspace}/step-runs/{step_run_id}
GET    /workspaces/{workspace}/step-runs/{step_run_id}/outputs
GET    /workspaces/{workspace}/step-runs/{step_run_id}/log
GET    /workspaces/{workspace}/step-runs/{step_run_id}/files
GET    /workspaces/{workspace}/step-runs/{step_run_id}/files/{path:path}
PUT    /workspaces/{workspace}/step-runs/{step_run_id}/files/{path:path}
GET    /workspaces/{workspace}/step-runs/{step_run_id}/metrics
POST   /workspaces/{workspace}/step-runs/{step_run_id}/metrics
POST   /workspaces/{workspace}/schedules
GET    /workspaces/{workspace}/schedules
POST   /workspaces/{workspace}/schedules/preview
GET    /workspaces/{workspace}/schedules/{schedule_id}
PATCH  /workspaces/{workspace}/schedules/{schedule_id}
GET    /workspaces/{workspace}/schedules/{schedule_id}/preview
GET    /workspaces/{workspace}/schedules/{schedule_id}/fires
POST   /workspaces/{workspace}/schedules/{schedule_id}/fire
"""
TABLE = [(line.split()[0], f"/api/v1{line.split()[1]}") for line in ROUTES.strip().splitlines()]
SHORT = [("GET", "/health"), ("GET", "/openapi.json"), ("GET", "/docs")]


def routes() -> Iterator[tuple[str, str]]:
    prefixed = [(PREFIX, route) for router in ROUTERS for route in router.routes]
    for prefix, route in [*prefixed, *(("", route) for route in short_router.routes)]:
        assert isinstance(route, APIRoute)
        yield from ((method, prefix + route.path) for method in route.methods)


def concrete(path: str) -> str:
    return re.sub(r"\{\w+(:path)?\}", "x", path).replace("workspaces/x", "workspaces/default")


def test_the_routes_are_those_of_the_table() -> None:
    assert sorted(routes()) == sorted(TABLE + SHORT)


@pytest.mark.parametrize(("method", "path"), TABLE + SHORT)
def test_every_route_but_health_needs_a_token(api: Api, method: str, path: str) -> None:
    answer = api.request(method, concrete(path), token=None)
    if path.endswith("/health"):
        assert answer.status_code == 200
    else:
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer ")
        assert answer.json()["code"] == "not-authenticated"
        assert "Authorization: Bearer" in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path"), TABLE + SHORT)
def test_every_answer_is_kept_by_nobody(api: Api, method: str, path: str) -> None:
    for token in (None, "wrong"):
        answer = api.request(method, concrete(path), token=token)
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_unknown_address_does_not_tell_strangers_that_it_is_unknown(api: Api) -> None:
    assert api.get("/api/v1/nothing", token=None).status_code == 401
    assert api.get("/", token=None).status_code == 401


def test_health_names_the_version_and_nothing_else(api: Api) -> None:
    assert api.get("/health", token=None).json() == {"status": "ok", "version": "1.2.3"}


# ---- the description -----------------------------------------------------------------------------


def test_openapi_describes_every_route(api: Api) -> None:
    document = api.shown("/openapi.json")
    assert document == api.shown("/api/v1/openapi.json")
    assert document["openapi"].startswith("3.1")
    described = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    expected = {(method, path.replace(":path", "")) for method, path in TABLE}
    undescribed = {("GET", "/api/v1/openapi.json"), ("GET", "/api/v1/docs")}
    assert described == expected - undescribed


def test_every_operation_has_an_id_a_tag_a_sentence_and_its_errors(api: Api) -> None:
    document = api.shown("/openapi.json")
    tags = {tag["name"] for tag in document["tags"]}
    ids = []
    for methods in document["paths"].values():
        for operation in methods.values():
            ids.append(operation["operationId"])
            assert set(operation["tags"]) <= tags
            assert len(operation["tags"]) == 1
            assert operation["description"].endswith(".")
            problem = operation["responses"]["default"]["content"]["application/problem+json"]
            assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}
            assert "422" not in operation["responses"]
    assert len(ids) == len(set(ids))


def test_openapi_says_that_a_token_is_needed(api: Api) -> None:
    document = api.shown("/openapi.json")
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    assert document["security"] == [{"token": []}]
    assert document["paths"]["/api/v1/health"]["get"]["security"] == []


def test_every_reference_in_the_document_leads_somewhere(api: Api) -> None:
    text = api.get("/openapi.json").text
    schemas = api.shown("/openapi.json")["components"]["schemas"]
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert references <= schemas.keys()


def test_the_page_shows_every_operation_and_loads_nothing(api: Api) -> None:
    answer = api.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "<script" not in answer.text
    assert not re.search(r'(src|href)="(?!#|openapi\.json")', answer.text)
    for methods in api.shown("/openapi.json")["paths"].values():
        for operation in methods.values():
            assert answer.text.count(f'id="{operation["operationId"]}"') == 1


def test_the_page_escapes_whatever_it_shows() -> None:
    evil = "<img src=x onerror=alert(1)>\"'&"
    operation = {
        "operationId": evil,
        "tags": [evil],
        "summary": evil,
        "description": evil,
        "parameters": [
            {
                "name": evil,
                "in": evil,
                "schema": {"type": evil, "default": evil},
                "description": evil,
            }
        ],
    }
    document = {
        "info": {"title": evil, "version": evil, "description": evil},
        "tags": [{"name": evil, "description": evil}],
        "paths": {f"/{evil}": {"get": operation}},
    }
    text = docs.page(document, f"http://{evil}")
    assert "<img" not in text
    assert "onerror" in text
