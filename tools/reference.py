"""Reference tables of settings, commands and routes, read from the program itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import click
from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True)
class Setting:
    """One environment variable: its names (the first is the usual one), default and purpose."""

    names: tuple[str, ...]
    default: str
    description: str


@dataclass(frozen=True)
class Command:
    """One command of the command line, with its arguments and options."""

    path: str
    description: str
    parameters: tuple[tuple[str, str], ...]


def _names(field: str, info: FieldInfo, prefix: str) -> tuple[str, ...]:
    alias = info.validation_alias or info.alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    return (str(alias) if alias else f"{prefix}{field}".upper(),)


def _default(info: FieldInfo) -> str:
    """Returns a default as it is written in the environment; one that is computed is empty."""
    value = info.default
    if value is PydanticUndefined or value is None or info.default_factory is not None:
        return ""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def settings(model: type[BaseSettings]) -> list[Setting]:
    """Returns the settings in the order in which the class declares them."""
    prefix = str(model.model_config.get("env_prefix", ""))
    return [
        Setting(_names(name, info, prefix), _default(info), info.description or "")
        for name, info in model.model_fields.items()
    ]


def _parameter(parameter: click.Parameter) -> tuple[str, str]:
    if isinstance(parameter, click.Option):
        return ", ".join([*parameter.opts, *parameter.secondary_opts]), parameter.help or ""
    return parameter.make_metavar(click.Context(click.Command("x"))), ""


def commands(group: click.Group, path: str) -> Iterator[Command]:
    """Yields the visible commands below a group, depth first, in its order."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        full = f"{path} {name}"
        if command is None or command.hidden:
            continue
        if isinstance(command, click.Group):
            yield from commands(command, full)
            continue
        parameters = tuple(
            _parameter(parameter)
            for parameter in command.params
            if not (isinstance(parameter, click.Option) and parameter.hidden)
        )
        yield Command(full, " ".join((command.help or "").split()), parameters)


def routes(document: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yields ``(tag, route, summary, statuses)`` for each operation of an OpenAPI document."""
    for path, operations in document["paths"].items():
        for method in METHODS:
            if operation := operations.get(method):
                tag = (operation.get("tags") or ["other"])[0]
                statuses = ", ".join(sorted(operation["responses"]))
                yield tag, f"{method.upper()} {path}", operation.get("summary", ""), statuses


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def _table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def settings_table(found: list[Setting]) -> str:
    """Returns the settings as a Markdown table."""
    rows: list[tuple[str, ...]] = [
        (" or ".join(_code(name) for name in one.names), _code(one.default), one.description)
        for one in found
    ]
    return _table(("variable", "default", "what it does"), rows)


def environment_example(found: list[Setting]) -> str:
    """Returns `.env.example`: every setting, commented out, with its purpose above it."""
    lines = [
        "# Every setting with its default. `./setup.sh` writes a `.env` of your own, with a key.",
        "# The environment wins over `.env`. Made by `make docs`; do not edit.",
    ]
    for one in found:
        lines += ["", f"# {' '.join(one.description.split())}", f"# {one.names[0]}={one.default}"]
    return "\n".join(lines) + "\n"


def commands_list(found: list[Command]) -> str:
    """Returns the commands as Markdown sections."""
    sections = []
    for one in found:
        section = f"### `{one.path}`\n\n{one.description}"
        if one.parameters:
            rows: list[tuple[str, ...]] = [(_code(name), text) for name, text in one.parameters]
            section += "\n\n" + _table(("argument or option", "what it does"), rows)
        sections.append(section)
    return "\n\n".join(sections)


def routes_table(document: Mapping[str, Any]) -> str:
    """Returns the routes as one Markdown table for each tag."""
    by_tag: dict[str, list[tuple[str, ...]]] = {}
    for tag, route, summary, statuses in routes(document):
        by_tag.setdefault(tag, []).append((_code(route), summary, statuses))
    return "\n\n".join(
        f"### {tag.capitalize()}\n\n" + _table(("route", "what it does", "answers"), rows)
        for tag, rows in by_tag.items()
    )
