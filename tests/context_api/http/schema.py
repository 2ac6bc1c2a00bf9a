"""Holds real answers against the description of the API."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import httpx
from jsonschema import Draft202012Validator

from context_api.http.app import openapi_document


@cache
def _document() -> dict[str, Any]:
    return openapi_document()


@cache
def _template(path: str) -> str:
    """Returns the described path that a request went to; a fixed one before one with names."""
    found = [
        template
        for template in _document()["paths"]
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
    ]
    return min(found, key=lambda template: template.count("{"))


@cache
def _validator(path: str, method: str, status: str, media_type: str) -> Draft202012Validator:
    responses = _document()["paths"][path][method]["responses"]
    assert status in responses, f"{method} {path} does not describe {status}"
    content = responses[status].get("content", {})
    assert media_type in content, f"{method} {path} {status} does not describe {media_type}"
    components = _document()["components"]
    schema = {**content[media_type]["schema"], "components": components}
    return Draft202012Validator(schema)


def checked(answer: httpx.Response, status: int, *, described: bool = True) -> Any:
    """Returns the JSON of an answer that has ``status`` and is as described."""
    assert answer.status_code == status, answer.text
    value = answer.json()
    if described:
        request = answer.request
        media_type = answer.headers["content-type"]
        path = _template(request.url.path)
        validator = _validator(path, request.method.lower(), str(status), media_type)
        problems = [f"{list(e.absolute_path)}: {e.message}" for e in validator.iter_errors(value)]
        assert not problems, problems
    return value
