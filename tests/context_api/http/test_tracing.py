"""Traces tell method, route, status and time, only where they are asked for, and no content."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import pytest

from context_api.http import tracing
from context_api.http.app import create_app
from tests.context_api.http.asgi import call
from tests.support.services import KEY

PARTS = "opentelemetry.instrumentation.asgi", "opentelemetry.sdk.trace"
ASKED: list[dict[str, str]] = [
    {"OTEL_TRACES_EXPORTER": "otlp"},
    {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"},
    {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318"},
]
NOT_ASKED: list[dict[str, str]] = [
    {},
    {"OTEL_SERVICE_NAME": "x"},
    {"OTEL_TRACES_EXPORTER": "none"},
    {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"},
    {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "True"},
]


@pytest.mark.parametrize("environ", ASKED)
def test_its_own_variables_ask_for_it(environ: dict[str, str]) -> None:
    assert tracing.wanted(environ)


@pytest.mark.parametrize("environ", NOT_ASKED)
def test_without_them_there_is_none(environ: dict[str, str]) -> None:
    assert not tracing.wanted(environ)


def test_nothing_of_it_is_loaded_unless_it_is_used() -> None:
    script = (
        "import sys, context_api.http.app, context_api.http.tracing;print(*sys.modules, sep='\\n')"
    )
    command = [sys.executable, "-c", script]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "context_api.http.tracing" in loaded
    heavy = ("opentelemetry.sdk", "opentelemetry.instrumentation", "opentelemetry.exporter")
    assert [name for name in loaded if name.startswith(heavy)] == []


def nothing() -> Any:
    raise AssertionError("no service is started for these requests")


def spans_of(*requests: dict[str, Any]) -> list[Any]:
    for part in PARTS:
        pytest.importorskip(part, reason="the extra otel is not installed")
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app = tracing.traced(create_app(nothing), "test", provider)

    async def ask() -> None:
        for request in requests:
            answer = await call(app, **request)
            assert answer.status == request.get("expected", answer.status)

    asyncio.run(ask())
    return list(exporter.get_finished_spans())


def test_a_span_is_named_by_its_route_and_holds_no_content() -> None:
    secret = b"q=quokkaquery&project=quokkaproject"
    headers = [
        ("authorization", f"Bearer {KEY}"),
        ("cookie", "quokkacookie"),
        ("x-request-id", "me"),
    ]
    spans = spans_of(
        {"path": "/health/live", "query_string": secret, "headers": headers},
        {"path": "/nothing", "query_string": secret, "body": [b"quokkabody"], "method": "POST"},
    )
    assert [span.name for span in spans] == ["GET /health/live", "POST"]
    assert spans[0].attributes["http.route"] == "/health/live"
    assert spans[0].attributes["memctx.request_id"] == "me"
    text = json.dumps([span.to_json() for span in spans])
    assert "quokka" not in text
    assert KEY not in text


def test_the_application_still_sees_the_query() -> None:
    pytest.importorskip(PARTS[0], reason="the extra otel is not installed")
    from opentelemetry.sdk.trace import TracerProvider

    seen: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(dict(scope))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    wrapped = tracing.traced(app, "test", TracerProvider())
    asyncio.run(call(wrapped, path="/x", query_string=b"q=1"))
    assert seen[0]["query_string"] == b"q=1"
    assert not [name for name in seen[0] if name.startswith("memctx.")]
