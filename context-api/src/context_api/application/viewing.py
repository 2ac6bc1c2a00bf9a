"""Small steps that many use cases share: who looks, at which project."""

from __future__ import annotations

import base64
import json

from context_api.application.ports import Records, Viewer, Window
from context_api.application.requests import Listing, Page
from context_api.domain.caller import Caller
from memory_core.clock import parse_time
from memory_core.errors import ContextError, InvalidCursor, ProjectNotFound
from memory_core.ids import parse_uuid
from memory_core.records import Document


def viewer_of(caller: Caller) -> Viewer:
    """Returns the eyes of a caller."""
    return Viewer(tenant_id=caller.tenant_id, actor=caller.actor, project_ids=caller.project_ids)


async def project_named(records: Records, name: str) -> Document:
    """Returns the visible project with an id or slug.

    Raises:
        ProjectNotFound: there is none, or the viewer may not see it.
    """
    project = await records.project(name)
    if project is None:
        raise no_project(name)
    return project


def no_project(name: str) -> ProjectNotFound:
    """Returns the error for a name that is nobody's, or not for the caller to see."""
    return ProjectNotFound(f"there is no project {name!r}")


def window_of(page: Page) -> Window:
    """Returns the part of a list that a page asks for, with one row to see if more follow.

    Raises:
        InvalidCursor: the cursor is not one that `listing` made.
    """
    if page.cursor is None:
        return Window(limit=page.limit + 1)
    try:
        decoded = json.loads(base64.urlsafe_b64decode(page.cursor.encode()))
        created_at, identity = decoded
        before = (parse_time(created_at), parse_uuid(identity))
    except (ValueError, TypeError, AttributeError, RecursionError, ContextError) as error:
        raise InvalidCursor from error
    return Window(limit=page.limit + 1, before=before)


def listing(found: list[Document], page: Page) -> Listing:
    """Returns one page of ``found``, which holds one row more when more follow."""
    items = found[: page.limit]
    if len(found) <= page.limit:
        return Listing(items=items)
    last = json.dumps([items[-1]["created_at"], items[-1]["id"]])
    return Listing(items=items, next_cursor=base64.urlsafe_b64encode(last.encode()).decode())
