"""Requests made from the description of the API: whatever comes, the answer is as described."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from context_api.http.app import openapi_document
from tests.context_api.http.serving import Hub
from tests.support.databases import Files, HubDatabase
from tests.support.services import KEY

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
ENDLESS = {"follow_events"}
COSTLY = {"verify": 3, "rebuild": 3, "export": 5}
EXAMPLES = 25
AGAIN = 10
"""How many of them the second kind of database gets: making requests costs more than sending."""
KINDS = {"session_id": "sessions", "checkpoint_id": "checkpoints", "pattern_id": "patterns"}


@schemathesis.serializer("application/x-ndjson")
def _as_lines(_context: object, value: object) -> bytes:
    return str(value).encode("utf-8", "surrogatepass")


@cache
def operations() -> dict[str, APIOperation[Any, Any, Any, Any]]:
    schema = schemathesis.openapi.from_dict(openapi_document())
    found = (result.ok() for result in schema.get_all_operations())
    named = {str(one.definition.raw["operationId"]): one for one in found}
    return {name: one for name, one in named.items() if name not in ENDLESS}


def new_ids(hub: Hub, project: str) -> dict[str, str]:
    """Makes one record of each kind and returns their ids by the names of path parameters."""
    bodies: dict[str, dict[str, Any]] = {
        "session_id": {"title": "t", "messages": [{"role": "user", "text": "hello"}]},
        "checkpoint_id": {"description": "d"},
        "pattern_id": {"pattern_type": "code", "name": "n"},
    }
    ids = {"project_id": project}
    for name, body in bodies.items():
        made = hub.client.post(f"/api/v1/{KINDS[name]}", json={"project": project, **body})
        ids[name] = made.json()["id"]
    messages = hub.client.get(f"/api/v1/sessions/{ids['session_id']}/messages").json()
    ids["message_id"] = messages["items"][0]["id"]
    path = f"/api/v1/sessions/{ids['session_id']}"
    base = hub.client.get(path).json()["last_op"]
    for title in ("one", "two"):
        hub.client.patch(path, json={"title": title, "base": base})
    disputed = hub.client.get("/api/v1/conflicts", params={"project": project}).json()
    ids["conflict_id"] = disputed["items"][0]["id"]
    ids["key_id"] = hub.make_key("read")["id"]
    return ids


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    with requests.Session() as one:
        one.headers["Authorization"] = f"Bearer {KEY}"
        yield one


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(operations()))
def test_any_request_is_answered_as_described(
    hub: Hub, shared_database: HubDatabase, session: requests.Session, name: str
) -> None:
    operation = operations()[name]
    examples = EXAMPLES if isinstance(shared_database, Files) else AGAIN
    project = hub.make_project(f"fuzz/{uuid.uuid4().hex[:8]}")
    ids = new_ids(hub, project)
    cases = st.one_of(
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )

    @given(case=cases, known=st.sampled_from([True, True, False]))
    @settings(
        max_examples=COSTLY.get(name, examples),
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    def run(case: schemathesis.Case, known: bool) -> None:
        if known:
            case.path_parameters = {
                parameter: ids.get(parameter, value)
                for parameter, value in (case.path_parameters or {}).items()
            }
            if isinstance(case.body, dict) and "project" in case.body:
                case.body = {**case.body, "project": project}
        case.call_and_validate(base_url=hub.url, session=session, checks=CHECKS, timeout=30)

    run()
    assert hub.client.get("/health/live").status_code == 200
