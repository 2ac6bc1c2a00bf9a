"""The API's description as a page: no script, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

METHODS = ("get", "post", "patch", "delete")

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, summary { font-family: ui-monospace, monospace; }
details { border-bottom: 1px solid #8884; padding: .3rem 0; }
summary { cursor: pointer; } summary span { font-family: system-ui; opacity: .75; }
table { border-collapse: collapse; margin: .5rem 0 1rem; }
td, th { border: 1px solid #8886; padding: .2rem .6rem; text-align: left; vertical-align: top; }
"""


def page(document: dict[str, Any]) -> str:
    """Returns the HTML page of an OpenAPI document."""
    title = escape(str(document["info"]["title"]))
    version = escape(str(document["info"]["version"]))
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width">',
            f"<title>{title} API</title><style>{_STYLE}</style></head><body>",
            f"<h1>{title} {version}</h1>",
            '<p>The same as <a href="/openapi.json">OpenAPI document</a>. Send your key as',
            " <code>Authorization: Bearer mctx_…</code>.</p>",
            *_routes(document),
            "<h2>Schemas</h2>",
            *(_schema(*entry) for entry in document["components"]["schemas"].items()),
            "</body></html>",
        ]
    )


def _routes(document: dict[str, Any]) -> Iterator[str]:
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method in METHODS:
            if method in operations:
                operation = operations[method]
                by_tag.setdefault(operation["tags"][0], []).append(_route(method, path, operation))
    for tag, routes in by_tag.items():
        yield f"<h2>{escape(tag.capitalize())}</h2>"
        yield from routes


def _route(method: str, path: str, operation: dict[str, Any]) -> str:
    scope = operation.get("x-required-scope", "no key")
    parts = [
        f"<details><summary>{method.upper()} {escape(path)}",
        f" <span>{escape(operation['summary'])} ({escape(scope)})</span></summary>",
    ]
    if parameters := operation.get("parameters"):
        rows = (
            (f"{one['name']} ({one['in']})", _type(one["schema"]), one.get("description", ""))
            for one in parameters
        )
        parts.append(_table(("parameter", "type", "meaning"), rows))
    if body := operation.get("requestBody"):
        parts.append(f"<p>Body: {_content(body)}</p>")
    answers = (
        (status, _content(answer), answer["description"])
        for status, answer in operation["responses"].items()
    )
    parts += [_table(("status", "answer", "meaning"), answers), "</details>"]
    return "".join(parts)


def _content(part: dict[str, Any]) -> str:
    return ", ".join(
        f"{_type(content['schema'])} as <code>{escape(media_type)}</code>"
        for media_type, content in part.get("content", {}).items()
    )


def _schema(name: str, schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    rows = (
        (f"{field}{'' if field in required else '?'}", _type(value), value.get("description", ""))
        for field, value in schema.get("properties", {}).items()
    )
    values = ", ".join(str(value) for value in schema.get("enum", []))
    described = f"<p>{escape(schema.get('description', ''))} {escape(values)}</p>"
    table = _table(("field", "type", "meaning"), rows) if "properties" in schema else ""
    head = f'<details id="{escape(name)}"><summary>{escape(name)}</summary>'
    return f"{head}{described}{table}</details>"


def _type(schema: dict[str, Any]) -> str:
    """Returns a type as HTML; other schemas are links."""
    if reference := schema.get("$ref"):
        name = escape(reference.rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if choices := schema.get("anyOf"):
        return " | ".join(_type(choice) for choice in choices)
    if values := schema.get("enum"):
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in values)
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    kind = schema.get("format") or schema.get("const") or schema.get("type", "anything")
    return f"<code>{escape(str(kind))}</code>"


def _table(header: tuple[str, ...], rows: Iterator[tuple[str, str, str]]) -> str:
    """Returns a table; first and last cells are text, the middle one is HTML."""
    body = "".join(
        f"<tr><td><code>{escape(first)}</code></td><td>{middle}</td><td>{escape(last)}</td></tr>"
        for first, middle, last in rows
    )
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    return f"<table><tr>{head}</tr>{body}</table>"
