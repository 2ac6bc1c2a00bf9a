"""The index is derived: lost or damaged, it is built anew from the log, by itself."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.faults.asking import asking, hits, is_indexed, made, until, verified
from tests.support.hub import Hub, running_hub

TITLES = [f"parser round {number}" for number in range(40)]


def fill(client: httpx.Client) -> str:
    project: str = made(client, "/projects", slug="acme/api")["id"]
    for title in TITLES:
        text = f"{title} was changed because of zeppelin"
        message = {"role": "user", "text": text}
        made(client, "/sessions", project="acme/api", title=title, messages=[message])
    until(lambda: is_indexed(client, project), "the index is at the head")
    return project


def wipe(index: Path) -> None:
    for path in index.parent.glob("index.db*"):
        path.unlink()


def delete_main_file_only(index: Path) -> None:
    index.unlink()


def truncate(index: Path) -> None:
    with index.open("r+b") as file:
        file.truncate(index.stat().st_size // 2)


def cut_to_a_stub(index: Path) -> None:
    with index.open("r+b") as file:
        file.truncate(50)


def overwrite_all(index: Path) -> None:
    index.write_bytes(b"garbage " * (index.stat().st_size // 8))


def overwrite_from_the_second_page(index: Path) -> None:
    with index.open("r+b") as file:
        size = file.seek(0, 2)
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))


def put_another_database_there(index: Path) -> None:
    index.write_bytes((index.parent / "hub.db").read_bytes())


DAMAGES = [
    wipe,
    truncate,
    cut_to_a_stub,
    overwrite_all,
    overwrite_from_the_second_page,
    put_another_database_there,
]


def check_found(hub: Hub, project: str) -> None:
    with asking(hub) as client:
        until(lambda: is_indexed(client, project), "the index is built anew")
        found = hits(client, "zeppelin")
        assert len(found) == 20
        assert {hit["kind"] for hit in found} <= {"message", "session"}
        assert all("zeppelin" in hit["snippet"] for hit in found)
        assert verified(client)["ok"]
        assert client.get("/status").json()["degraded"] == []


@pytest.mark.slow
def test_damaged_between_runs(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub") as hub:
        with asking(hub) as client:
            project = fill(client)
        index = hub.data_dir / "index.db"
        for damage in DAMAGES:
            hub.stop()
            assert not list(hub.data_dir.glob("index.db-*")), "closed with its log taken in"
            damage(index)
            hub.start()
            check_found(hub, project)
        kept = list(hub.data_dir.glob("index.db.damaged-*"))
        assert kept, "a damaged index is set aside"
        assert "damaged" in hub.log


@pytest.mark.slow
@pytest.mark.parametrize("damage", [wipe, delete_main_file_only, overwrite_all, truncate])
def test_damaged_while_the_hub_runs(fresh_hub: Hub, damage: object) -> None:
    """Writes are never refused for it, and answers are whole again soon."""
    assert callable(damage)
    with asking(fresh_hub) as client:
        project = fill(client)
        damage(fresh_hub.data_dir / "index.db")
        message = {"role": "user", "text": "the airship quixotic landed"}
        made(client, "/sessions", project="acme/api", title=TITLES[0], messages=[message])

        def found() -> bool:
            body = {"query": "quixotic", "projects": ["acme/api"], "min_score": 0}
            answer = client.post("/search", json=body)
            assert answer.status_code in {200, 503}, answer.text
            return answer.status_code == 200 and any(
                "quixotic" in hit["snippet"] for hit in answer.json()["hits"]
            )

        until(found, "a search that finds")
    fresh_hub.stop()
    fresh_hub.start()
    check_found(fresh_hub, project)
