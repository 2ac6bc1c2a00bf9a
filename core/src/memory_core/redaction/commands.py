"""Passwords given to commands by a short flag: ``curl -u``, ``mysql -p``, ``docker login -p``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from memory_core.redaction.rules import Evidence, Span, Subject
from memory_core.redaction.values import is_mixed, is_path, is_stand_in

_REACH: Final = 400
_VALUE: Final = r"(?P<secret>[^\s\"'`\\|;]{3,200}+)"


def _is_password(value: str) -> bool:
    if is_stand_in(value) or is_stand_in(value.rstrip(">)]}")):
        return False
    return not value.startswith(("-", "$", ":"))


def _is_attached(value: str) -> bool:
    return _is_password(value) and not is_path(value)


def _is_mixed_password(value: str) -> bool:
    return _is_password(value) and is_mixed(value) and not set(value) & set("/(")


@dataclass(frozen=True, slots=True)
class CommandRule:
    """A flag with its value, that counts after one of ``commands`` on the same line.

    ``hint`` must be in the text for the rule to be tried. No ``commands`` means any.
    """

    kind: str
    hint: str
    flag: re.Pattern[str]
    commands: tuple[str, ...]
    accept: Callable[[str], bool] = _is_password


def _flag(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)


_USER_AND: Final = r"\\*[\"']?[^\s:\"'$\\]{0,80}\\*[\"']?:\\*[\"']?" + _VALUE

COMMAND_RULES: Final[tuple[CommandRule, ...]] = (
    CommandRule(
        "basic_auth", " -u", _flag(r" -u {0,3}" + _USER_AND), ("curl", "http", "wget", "xh ")
    ),
    CommandRule(
        "basic_auth",
        " --",
        _flag(r" --(?:(?:proxy-)?user|auth)[ =]{1,3}" + _USER_AND),
        ("curl", "http", "wget", "xh "),
    ),
    CommandRule("basic_auth", " -U", _flag(r" -U ?" + _USER_AND), ("curl",)),
    CommandRule("basic_auth", " -a", _flag(r" -a " + _USER_AND), ("http", "xh ")),
    CommandRule("basic_auth", "-u ", _flag(r"-u " + _USER_AND), (), _is_mixed_password),
    CommandRule("password", " -p", _flag(r" -p" + _VALUE), ("mysql", "mariadb"), _is_attached),
    CommandRule("password", " -p", _flag(r" -p[ ]?\\*[\"']?" + _VALUE), ("sshpass",)),
    CommandRule(
        "password",
        " -p",
        _flag(r" -p[ ]\\*[\"']?" + _VALUE),
        ("docker login", "podman login", "az login", "registry login", "nerdctl login"),
    ),
    CommandRule("password", " -a", _flag(r" -a[ ]\\*[\"']?" + _VALUE), ("redis-cli",)),
    CommandRule("password", " -P", _flag(r" -P[ ]?\\*[\"']?" + _VALUE), ("sqlcmd", "bcp ")),
    CommandRule(
        "password",
        " -w",
        _flag(r" -w[ ]\\*[\"']?" + _VALUE),
        ("ldapsearch", "ldapadd", "ldapmodify", "ldapwhoami"),
    ),
    CommandRule(
        "password",
        "rabbitmqctl",
        _flag(r"rabbitmqctl (?:add_user|change_password) \S{1,80} " + _VALUE),
        (),
    ),
    CommandRule("password", "pass:", _flag(r"pass:" + _VALUE), ("-pass", "-passin", "-passout")),
    CommandRule(
        "password", "htpasswd", _flag(r"htpasswd -\w{0,6}b\w{0,6} \S{1,80} \S{1,80} " + _VALUE), ()
    ),
    CommandRule(
        "password",
        "echo ",
        _flag(
            r"echo (?:-n )?\\*[\"']?(?:[\w.-]{1,40}:)?"
            + _VALUE
            + r"\\*[\"']? ?\| ?(?:sudo )?(?:chpasswd|sudo -S)"
        ),
        (),
    ),
    CommandRule(
        "password",
        "password ",
        _flag(r"login\s{1,8}\S{1,80}\s{1,8}(?:port\s\S{1,20}\s{1,8})?password\s{1,8}" + _VALUE),
        (),
    ),
)


_BY_HINT: Final = {
    hint: tuple(rule for rule in COMMAND_RULES if rule.hint == hint)
    for hint in sorted({rule.hint for rule in COMMAND_RULES})
}


def find_in_commands(subject: Subject) -> Iterator[Span]:
    """Yields passwords that a command line gives to a tool by a short flag."""
    text = subject.text
    for hint, rules in _BY_HINT.items():
        if hint in text:
            for rule in rules:
                yield from _found_by(rule, text)


def _found_by(rule: CommandRule, text: str) -> Iterator[Span]:
    if rule.commands and not any(command in text for command in rule.commands):
        return
    for match in rule.flag.finditer(text):
        if _follows(text, match.start(), rule.commands) and rule.accept(match["secret"]):
            yield Span(match.start("secret"), match.end("secret"), rule.kind, Evidence.PLACE)


def _follows(text: str, position: int, commands: tuple[str, ...]) -> bool:
    """Tells whether one of the commands stands before the position on its line."""
    if not commands:
        return True
    floor = max(0, position - _REACH, text.rfind("\n", max(0, position - _REACH), position))
    # A line that ends in a backslash goes on.
    if floor and text[floor - 1 : floor] == "\\":
        floor = max(0, position - _REACH)
    return any(text.rfind(command, floor, position + 1) >= 0 for command in commands)
