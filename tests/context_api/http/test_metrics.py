"""Figures for Prometheus: complete, parseable, and bounded whatever is asked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from context_api.application.caching import CacheCounts, Counted
from context_api.application.measuring import Measures
from context_api.http.metrics import MAX_LABELS, Metrics
from memory_core.ids import uuid7
from tests.context_api.http.serving import Hub

ROOT = Path(__file__).parents[3]
LABELS = {"method", "route", "status", "le", "index", "part", "cache", "result"}
NAMES = {
    "memctx_http_requests", "memctx_http_request_seconds", "memctx_http_requests_in_flight",
    "memctx_log_appends", "memctx_log_appended_events", "memctx_log_events", "memctx_projects",
    "memctx_tenants", "memctx_index_lag_events", "memctx_index_oldest_unprocessed_seconds",
    "memctx_index_stalled", "memctx_index_queue", "memctx_index_dead", "memctx_database_up",
    "memctx_index_last_success_age_seconds", "memctx_cache_lookups", "memctx_degraded_seconds",
    "memctx_measure_age_seconds", "memctx_writes_begun_again",
}  # fmt: skip


def figures(hub: Hub) -> dict[str, Any]:
    answer = hub.client.get("/metrics")
    assert answer.status_code == 200, answer.text
    return {family.name: family.samples for family in parse(answer.text)}


def value(found: dict[str, Any], name: str, **labels: str) -> float:
    [sample] = [s for s in found[name] if s.labels == labels and not s.name.endswith("_created")]
    return float(sample.value)


def test_every_figure_is_there_and_says_what_happened(own_hub: Hub) -> None:
    project = own_hub.make_project("figures/one")
    for number in range(3):
        body = {"project": project, "description": f"state {number}"}
        assert own_hub.client.post("/api/v1/checkpoints", json=body).status_code == 201
    own_hub.app.state.services.measures.reading = None
    end = time.monotonic() + 20
    while True:
        found = figures(own_hub)
        lag = [value(found, "memctx_index_lag_events", index=i) for i in ("lexical", "vector")]
        if lag == [0, 0]:
            break
        assert time.monotonic() < end
        own_hub.app.state.services.measures.reading = None
    assert found.keys() >= NAMES
    assert value(found, "memctx_log_events") == 4
    assert value(found, "memctx_log_appends") == 4
    assert value(found, "memctx_projects") == value(found, "memctx_tenants") == 1
    assert value(found, "memctx_index_oldest_unprocessed_seconds", index="vector") == 0
    assert value(found, "memctx_index_stalled", index="lexical") == 0
    assert value(found, "memctx_database_up") == 1
    answered = {"method": "POST", "route": "/api/v1/checkpoints", "status": "201"}
    assert value(found, "memctx_http_requests", **answered) == 3


def test_no_request_adds_a_label(hub: Hub) -> None:
    hub.make_project("figures/secret-slug")
    for path in ("/api/v1/sessions/{}", "/api/v1/{}", "/{}", "/metrics/{}"):
        for _ in range(3):
            hub.client.get(path.format(uuid7()), headers={"X-Request-ID": uuid7()})
    hub.client.request("BREW", "/api/v1/sessions")
    hub.client.get("/metrics")
    first = hub.client.get("/metrics").text
    for path in ("/api/v1/sessions/{}", "/api/v1/{}", "/{}", "/metrics/{}"):
        for _ in range(3):
            hub.client.get(path.format(uuid7()))
    second = hub.client.get("/metrics").text

    def series(text: str) -> set[str]:
        return {line.rpartition(" ")[0] for line in text.splitlines() if line[0] != "#"}

    assert series(first) == series(second)
    assert "secret-slug" not in second
    assert "BREW" not in second
    labels = {name for family in parse(second) for s in family.samples for name in s.labels}
    assert labels <= LABELS


def test_caches_and_parts_are_counted_and_bounded() -> None:
    counts = Counted()
    counts["search"] = CacheCounts(hits=7, misses=3)
    for number in range(1000):
        counts[f"z{number:04}"] = CacheCounts()
    parts = {"vector": 12.5, **{f"z{number:04}": 1.0 for number in range(1000)}}
    measures = Measures(caches=counts, degraded_s=parts)
    found = {f.name: f.samples for f in parse(Metrics().text(measures).decode())}
    assert value(found, "memctx_cache_lookups", cache="search", result="hits") == 7
    assert value(found, "memctx_cache_lookups", cache="search", result="misses") == 3
    assert value(found, "memctx_degraded_seconds", part="vector") == 12.5
    assert len(found["memctx_degraded_seconds"]) == MAX_LABELS
    assert len({s.labels["cache"] for s in found["memctx_cache_lookups"]}) == MAX_LABELS
    assert value(found, "memctx_database_up") == 0


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_figure_is_explained(hub: Hub, name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs/operations.md").read_text()
    families = {family.name: family for family in parse(hub.client.get("/metrics").text)}
    assert families[name].documentation.endswith(".")
    assert families[name].type in {"counter", "gauge", "histogram"}
