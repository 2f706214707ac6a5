"""Routes: the server itself, and the description of its API."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, JSONResponse

from penstock import wire
from penstock.api import description, docs
from penstock.api.bodies import JsonRoute
from penstock.api.context import Caller, Context
from penstock.service.access import require

router = APIRouter(route_class=JsonRoute, tags=["server"])


@router.get("/health")
def get_health(request: Request) -> wire.HealthDocument:
    """Answer that the server is up. The only route that needs no token."""
    context: Context = request.app.state.context
    return wire.HealthDocument(status="ok", version=context.version)


@router.get("/server")
def get_server(call: Caller) -> wire.ServerDocument:
    """Show the server's version, database, last tick and compute targets."""
    require(call.actor, "server.read")
    return call.context.server_status()


@router.get("/openapi.json", include_in_schema=False)
def get_openapi(request: Request, call: Caller) -> JSONResponse:
    """Describe every route, as an OpenAPI 3.1 document."""
    return JSONResponse(description.document(request.app, call.context))


@router.get("/docs", include_in_schema=False)
def get_docs(request: Request, call: Caller) -> HTMLResponse:
    """Show every route on one page, for people."""
    page = docs.page(description.document(request.app, call.context), call.context.base_url())
    return HTMLResponse(page, headers={"Content-Security-Policy": docs.CONTENT_SECURITY_POLICY})


short_router = APIRouter(route_class=JsonRoute)
short_router.add_api_route("/health", get_health)
short_router.add_api_route("/openapi.json", get_openapi)
short_router.add_api_route("/docs", get_docs)
