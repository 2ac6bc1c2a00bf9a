"""OpenTelemetry traces, where they are asked for by its own variables and installed.

Nothing of it is imported otherwise. A span tells method, route, status and time; it never tells a
query, a body or a header.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, cast

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HIDDEN = "memctx.query_string"
_PARTS = ("opentelemetry.instrumentation.asgi", "opentelemetry.sdk.trace")


def wanted(environ: Mapping[str, str]) -> bool:
    """Says whether OpenTelemetry's variables ask for traces: an exporter or where to send them."""
    if environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    exporter = environ.get("OTEL_TRACES_EXPORTER", "").lower()
    endpoint = environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or environ.get(
        "OTEL_EXPORTER_OTLP_ENDPOINT"
    )
    return exporter not in {"", "none"} or (exporter != "none" and bool(endpoint))


def is_installed() -> bool:
    """Says whether the extra `otel` is there."""
    try:
        return all(find_spec(part) is not None for part in _PARTS)
    except ModuleNotFoundError:
        return False


def traced(app: ASGIApp, service: str, provider: Any = None) -> ASGIApp:
    """Returns ``app`` in a middleware that makes a span of each request.

    ``provider`` makes the tracers; by default one that exports by OTLP as the variables say.
    """
    asgi = import_module("opentelemetry.instrumentation.asgi")
    made = provider if provider is not None else _exporting(service)
    inner = asgi.OpenTelemetryMiddleware(
        _Named(app),
        default_span_details=lambda scope: (str(scope.get("method", "")), {}),
        tracer_provider=made,
        exclude_spans=["receive", "send"],
    )
    return _WithoutQuery(cast("ASGIApp", inner))


def _exporting(service: str) -> Any:
    exporter = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    export = import_module("opentelemetry.sdk.trace.export")
    resources = import_module("opentelemetry.sdk.resources")
    sdk = import_module("opentelemetry.sdk.trace")
    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over what is named here.
    resource = resources.Resource.create({"service.name": service})
    provider = sdk.TracerProvider(resource=resource)
    provider.add_span_processor(export.BatchSpanProcessor(exporter.OTLPSpanExporter()))
    return provider


class _WithoutQuery:
    """Hides the query from the instrumentation, which would put it into the span."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            query = scope.get("query_string", b"")
            scope = {**scope, "query_string": b"", _HIDDEN: query}
        await self.app(scope, receive, send)


class _Named:
    """Gives the query back, and names the span after the route once that is known."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._trace = import_module("opentelemetry.trace")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        span = self._trace.get_current_span()
        scope["query_string"] = scope.pop(_HIDDEN, b"")

        async def send_on(message: Message) -> None:
            # The span ends with the answer, so it is named when that begins.
            if message["type"] == "http.response.start":
                state = scope.get("state", {})
                if route := state.get("route"):
                    span.update_name(f"{scope['method']} {route}")
                    span.set_attribute("http.route", route)
                span.set_attribute("memctx.request_id", str(state.get("request_id", "")))
            await send(message)

        await self.app(scope, receive, send_on)
