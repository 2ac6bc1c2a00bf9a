"""``memctx audit``: what was done, and whether the log of it is whole."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

from tests.support.hub import Hub


def test_what_was_done_is_listed(fresh_hub: Hub) -> None:
    key = fresh_hub.json("keys", "create", "laptop\u202e", "--owner", "ada")
    fresh_hub.json("keys", "revoke", key["id"], "--yes")
    revoked, created = fresh_hub.json("audit", "list")
    assert [(one["act"], one["target"]) for one in (created, revoked)] == [
        ("key.create", key["id"]), ("key.revoke", key["id"]),
    ]  # fmt: skip
    assert [one["seq"] for one in fresh_hub.json("audit", "list", "--act", "key.revoke")] == [2]
    shown = fresh_hub.memctx("audit", "list", "--limit", "1")
    assert shown.stdout.split("\n")[0].split("\t")[-1] == "seq"
    assert shown.stdout.split("\n")[1].split("\t")[3:] == ["key.revoke", key["id"], "", "2"]
    assert "\u202e" not in fresh_hub.memctx("audit", "list").stdout


def test_a_change_is_found_also_where_no_hub_runs(fresh_hub: Hub) -> None:
    for name in ("one", "two", "three"):
        fresh_hub.json("keys", "create", name)
    told = fresh_hub.memctx("audit", "verify")
    anchor = told.stdout.strip()
    assert anchor.startswith("3:")
    assert fresh_hub.json("audit", "verify", "--anchor", anchor)["head"] == anchor
    fresh_hub.stop()
    with closing(sqlite3.connect(fresh_hub.data_dir / "hub.db")) as connection, connection:
        connection.execute("DROP TRIGGER audit_log_kept_delete")
        connection.execute("DELETE FROM audit_log WHERE seq = 3")
    assert fresh_hub.json("audit", "verify")["entries"] == 2
    cut = fresh_hub.memctx("--json", "audit", "verify", "--anchor", anchor)
    assert cut.returncode == 1
    error = json.loads(cut.stdout)["error"]
    assert "entry 3 is not the one that was kept as the anchor" in error["detail"]
    assert fresh_hub.memctx("audit", "verify", "--anchor", "3").returncode == 2
