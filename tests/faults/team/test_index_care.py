"""The vectors in Chroma are compared with SQL, mended and built anew, over HTTP and by command."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from memory_core.errors import Conflict
from tests.faults.team.team import Memory, eventually
from tests.support.hub import Hub
from tests.support.stack import Stack

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
TEXTS = tuple(f"note {number} about the parser and its nesting" for number in range(30))


@pytest.fixture
def memory(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Memory]:
    """A project with some thirty vectors, all of them in Chroma."""
    with stack.api.client() as client:
        slug = re.sub("[^a-z]+", "-", request.node.name.lower()).strip("-")
        memory = Memory(client, f"acme/{slug}")
        memory.remember(*TEXTS)
        eventually(memory.is_whole)
        # Vectors as near to each other as these are sometimes lost by Chroma as they come.
        eventually(lambda: care(memory, "repair")["verdict"] == "ok")
        yield memory


def care(memory: Memory, action: str) -> Any:
    """Returns the report about the project."""
    return memory.client.index_care(action, memory.id)["projects"][0]


def collections(stack: Stack, memory: Memory) -> list[tuple[str, str]]:
    """Returns the address and name of the project's collections that hold something."""
    base = f"{stack.servers.chroma.url}/api/v2/tenants/default_tenant/databases/default_database"
    listed = httpx.get(f"{base}/collections", params={"limit": 1000}).raise_for_status().json()
    mine = [one for one in listed if memory.id in one["name"]]
    return [
        (f"{base}/collections/{one['id']}", one["name"])
        for one in mine
        if httpx.get(f"{base}/collections/{one['id']}/count").raise_for_status().json()
    ]


def test_what_is_taken_from_chroma_is_found_missing_and_put_back(
    stack: Stack, memory: Memory
) -> None:
    address, _ = collections(stack, memory)[0]
    held = httpx.post(f"{address}/get", json={"limit": 5, "include": []}).raise_for_status()
    httpx.post(f"{address}/delete", json={"ids": held.json()["ids"]}).raise_for_status()
    found = care(memory, "verify")
    assert (found["verdict"], found["missing"]) == ("drifted", 5)
    mended = care(memory, "repair")
    assert mended["verdict"] == "ok"
    # Mended one by one, or all of it anew where Chroma did not find again what was put back.
    changed = mended["changed"]
    assert changed.get("upserted") == 5 or changed.get("copied") == mended["expected"]
    assert care(memory, "verify")["missing"] == 0


def test_a_rebuild_takes_a_new_collection_into_use(stack: Stack, memory: Memory) -> None:
    before = {name for _, name in collections(stack, memory)}
    rebuilt = care(memory, "rebuild")
    assert rebuilt["verdict"] == "ok"
    assert rebuilt["changed"]["copied"] == rebuilt["expected"] == rebuilt["held"]
    after = {name for _, name in collections(stack, memory)}
    assert after
    assert not after & before
    assert TEXTS[3] in memory.texts(TEXTS[3])
    assert memory.ask("the parser")["degraded"] == []


def test_the_command_says_what_is_wrong(stack: Stack, memory: Memory) -> None:
    good = stack.api.memctx("index", "verify", "--project", memory.slug, "--json")
    assert good.returncode == 0
    assert json.loads(good.stdout)["data"]["ok"] is True
    address, _ = collections(stack, memory)[0]
    held = httpx.post(f"{address}/get", json={"limit": 1, "include": []}).raise_for_status()
    httpx.post(f"{address}/delete", json={"ids": held.json()["ids"]}).raise_for_status()
    bad = stack.api.memctx("index", "verify", "--project", memory.slug)
    assert bad.returncode == 1
    assert "memctx index repair" in bad.stderr
    assert stack.api.memctx("index", "repair", "--project", memory.slug).returncode == 0


def test_a_hub_without_a_vector_server_says_so(fresh_hub: Hub) -> None:
    with fresh_hub.client() as client, pytest.raises(Conflict):
        client.index_care("verify")
