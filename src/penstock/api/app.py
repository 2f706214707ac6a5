"""The application: all routes, and what stands around them."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from penstock.api import (
    datastores,
    pipelines,
    problems,
    runs,
    schedules,
    server,
    workspaces,
)
from penstock.api.bodies import uploads_limiter
from penstock.api.context import Context
from penstock.api.description import PREFIX, PROBLEM_RESPONSE
from penstock.api.edge import Edge

ROUTERS = tuple(
    room.router for room in (server, workspaces, datastores, pipelines, runs, schedules)
)


def build_app(context: Context) -> FastAPI:
    """Return the application that answers with the parts in `context`.

    What describes the server, `/health`, `/docs` and `/openapi.json`, is also found without the
    prefix that all other routes have.
    """
    app = FastAPI(
        openapi_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
        responses=PROBLEM_RESPONSE,
    )
    app.state.context = context
    app.state.uploads = uploads_limiter()
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    app.include_router(server.short_router, include_in_schema=False)
    app.add_exception_handler(HTTPException, problems.from_http_exception)
    app.add_exception_handler(RequestValidationError, problems.from_validation)
    app.add_middleware(Edge, context=context)
    return app


def _operation_id(route: APIRoute) -> str:
    return route.name
