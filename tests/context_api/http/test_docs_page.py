"""The page that describes the API."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from context_api.http.app import openapi_document
from context_api.http.docs_page import page


class _Page(HTMLParser):
    """Collects what a page names, links to and holds open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)
        for name, value in attrs:
            if name in {"href", "src"}:
                self.links.append(value or "")
            elif name == "id":
                self.ids.add(value or "")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(text: str) -> _Page:
    made = _Page()
    made.feed(text)
    assert made.open == []
    return made


def test_the_page_needs_nothing_but_itself() -> None:
    made = parsed(page(openapi_document()))
    assert not made.tags & {"script", "link", "img", "iframe"}
    fragments = {link[1:] for link in made.links if link.startswith("#")}
    assert fragments <= made.ids
    assert {link for link in made.links if not link.startswith("#")} == {"/openapi.json"}


def test_the_page_names_every_route() -> None:
    document = openapi_document()
    text = page(document)
    for path, operations in document["paths"].items():
        for method in operations:
            assert f"<summary>{method.upper()} {path}" in text


def test_what_is_described_is_escaped() -> None:
    document = openapi_document()
    planted = '<script>alert("x")</script>'
    document["info"]["title"] = planted
    document["paths"]["/api/v1/search"]["get"]["summary"] = planted
    document["paths"]["/api/v1/search"]["get"]["parameters"][0]["name"] = planted
    document["components"]["schemas"]["Hit"]["properties"][planted] = {"type": planted}
    text = page(document)
    assert not re.search("<script", text)
    parsed(text)
