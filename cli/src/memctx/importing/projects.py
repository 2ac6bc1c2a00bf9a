"""The hub's project for a folder's identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_core.errors import InvalidId, NotFound, SlugTaken
from memory_core.identity import ProjectIdentity, slugs_to_try
from memory_core.ids import parse_uuid
from sync_agent.hubs import check_allowed, deny_rules, names_of
from sync_agent.url import HubUrl

if TYPE_CHECKING:
    from pydantic import JsonValue

    from sync_agent import documents as doc
    from sync_agent.interface import MemoryClient


def find_project(client: MemoryClient, identity: ProjectIdentity) -> doc.Project | None:
    """Returns the hub's project of this identity, or None if it has none."""
    if identity.project_id is not None:
        try:
            return client.projects.get(identity.project_id)
        except (NotFound, InvalidId):
            pass
    if identity.kind != "marker":
        for remote in identity.remotes[:1]:
            for project in client.projects.list(remote=remote, limit=1):
                return project
        if identity.remotes:
            return None
    return next(client.projects.list(slug=identity.slug, limit=1), None)


def ensure_project(client: MemoryClient, identity: ProjectIdentity) -> doc.Project:
    """Returns the hub's project of this identity, made with its parents if there is none.

    A slug that belongs to a project with other remotes is not shared: this one gets the host
    before its slug, and where that is taken too, a digest of its remote behind it.

    Raises:
        HubDenied: a rule keeps this project's memory from that hub.
    """
    url = getattr(client, "url", None)
    if isinstance(url, HubUrl):
        check_allowed(url, names_of(identity), deny_rules(identity.root))
    if identity.project_id is not None:
        found = find_project(client, identity)
        if found is not None and found["id"] == identity.project_id:
            return found
    body: dict[str, JsonValue] = {
        "slug": identity.slug,
        "remotes": [*identity.remotes],
        "identity": identity.kind,
    }
    if identity.parent is not None:
        body["parent"] = ensure_project(client, identity.parent)["id"]
    if identity.project_id is not None and _is_uuid(identity.project_id):
        body["id"] = identity.project_id
    for slug in slugs_to_try(identity.slug, identity.remotes, identity.kind):
        try:
            return client.projects.ensure({**body, "slug": slug})
        except SlugTaken as error:
            taken = error
    raise taken


def _is_uuid(text: str) -> bool:
    try:
        return bool(parse_uuid(text))
    except InvalidId:
        return False
