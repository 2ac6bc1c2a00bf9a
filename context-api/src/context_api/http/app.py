"""The hub's HTTP application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.metadata import version
from types import ModuleType
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from context_api.application.audit import Refusals
from context_api.application.services import Services
from context_api.http import openapi
from context_api.http.auth import Authentication
from context_api.http.edge import Edge
from context_api.http.limits import BodyLimits
from context_api.http.metrics import Metrics
from context_api.http.options import HttpOptions
from context_api.http.problem import on_context_error, on_http_exception, on_invalid_request
from context_api.http.rate_limit import RateLimits
from context_api.http.routers import (
    admin,
    audit,
    checkpoints,
    conflicts,
    context,
    events,
    health,
    keys,
    messages,
    model,
    patterns,
    projects,
    search,
    sessions,
    sync,
    tenants,
)
from memory_core.errors import ContextError

Running = Callable[[], AbstractAsyncContextManager[Services]]

DISTRIBUTION = "memory-context"
ROUTERS = (
    projects,
    sessions,
    messages,
    checkpoints,
    patterns,
    search,
    context,
    events,
    sync,
    conflicts,
    model,
    keys,
    tenants,
    audit,
    admin,
    health,
)
HEALTH_ONLY = (health,)
"""What a process offers that answers no requests but those about itself."""
SUMMARY = "Self-hosted memory for teams that run coding agents over many repositories"


class HubApi(FastAPI):
    """The application, with a description that is complete."""

    def openapi(self) -> dict[str, Any]:
        """Returns the OpenAPI document."""
        if self.openapi_schema is None:
            self.openapi_schema = openapi.complete(super().openapi())
        return self.openapi_schema


def create_app(
    running: Running,
    options: HttpOptions | None = None,
    routers: Iterable[ModuleType] = ROUTERS,
) -> FastAPI:
    """Returns the application over the services that ``running`` starts and stops.

    They live as long as the application's lifespan. Setting ``app.state.stopping`` ends the
    open event streams, which a server does before it waits for its connections.
    """
    options = options or HttpOptions()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with running() as services:
            app.state.services = services
            try:
                yield
            finally:
                app.state.stopping.set()

    app = HubApi(
        title=openapi.TITLE,
        summary=SUMMARY,
        version=version(DISTRIBUTION),
        lifespan=lifespan,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        docs_url=None,
        redoc_url=None,
    )
    app.state.options = options
    app.state.metrics = metrics = Metrics()
    app.state.stopping = asyncio.Event()
    app.state.refusals = Refusals()
    for module in routers:
        app.include_router(module.router)
    app.add_exception_handler(ContextError, on_context_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_middleware(RateLimits)
    app.add_middleware(Authentication)
    app.add_middleware(BodyLimits, options=options)
    app.add_middleware(Edge, options=options, metrics=metrics)
    return app


def openapi_document() -> dict[str, Any]:
    """Returns the description of the API; nothing runs for it."""
    return create_app(_nothing).openapi()


def _nothing() -> AbstractAsyncContextManager[Services]:
    raise RuntimeError("an application that only describes itself was started")
