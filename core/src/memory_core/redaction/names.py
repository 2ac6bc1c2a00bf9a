"""What the name on the left of an assignment says about the value on its right."""

from __future__ import annotations

import re
from enum import Enum, auto
from functools import lru_cache
from typing import Final, NamedTuple

from memory_core.redaction.values import words


class Class(Enum):
    """How sure a name makes us, and what the value must look like to be taken out."""

    PASSWORD = auto()  # chosen by people: short and pronounceable is possible
    SECRET = auto()  # chosen by people or machines
    TOKEN = auto()  # made by machines
    HINT = auto()  # often something harmless: only a long random value counts


class Meaning(NamedTuple):
    """What a name stands for.

    ``kind`` is the type of any value taken out; ``provider_kind`` the type of a machine-made
    one where the name says whose it is. ``upper`` marks a name in upper case, as environment
    variables have.
    """

    kind: str
    cls: Class
    provider_kind: str | None
    upper: bool


# What a key must contain, in lower case, to be looked at; each starts a search of its own.
STEMS: Final = (
    *("pass", "pwd", "secret", "token", "key", "cred", "auth", "bearer", "jwt"),
    *("salt", "signature", "webhook", "license", "hmac", "pepper"),
)

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_QUALIFIERS: Final = words(
    """
    value val string str text txt plain plaintext raw new old current previous next confirm
    confirmation confirmed again repeat prod production dev development stage staging qa test
    testing live sandbox local env b64 base64 encoded hex base primary secondary main backup a b
    rw ro readonly v
    """
)
_PASSWORDS: Final = ("password", "passwd", "passwort", "passphrase", "passcode", "pwd")
_SHORT_PASSWORDS: Final = words("pass pw dbpass userpass rootpass adminpass smtppass ftppass")
_TOKENS: Final = ("token", "jwt", "bearer", "apikey", "secretkey", "accesskey", "privatekey")
_NOT_SECRET_TOKENS: Final = words(
    """
    page next continuation cursor sync cancel cancellation eos bos pad unk sep cls mask stop
    special start end first last prev current design syntax lexer parser word sub symbol
    input output prompt completion max min num per fill image video audio time resume delta
    """
)
_KEYS: Final = words(
    """
    api secret access private signing signature encryption encrypt decrypt decryption master
    account shared auth authentication authorization service deploy deployment admin root
    session client app application consumer storage subscription webhook hmac jwt crypto fernet
    cipher aes rsa ssh gpg pgp sas function functions integration ingest ingestion license
    user developer bot server write backend secure security vault rails nextauth flask django
    """
)
_NOT_SECRET_KEYS: Final = words(
    """
    public primary foreign cache partition sort object row idempotency dedup map dict hash index
    unique natural composite surrogate candidate lookup group routing shard range storage
    bucket s3 prefix config configuration settings translation i18n message label json yaml
    attr attribute field column property meta metadata state context event query param header
    env host press down up arrow shortcut hot modifier enter escape tab ctrl alt shift meta
    registry issue project jira ticket answer golden max min old
    """
)
_CREDENTIALS: Final = words("credential credentials cred creds")
_HINTS: Final = words("key auth signature salt pepper webhook license hmac seed")
_NOT_SECRET_BEFORE: Final = dict.fromkeys(_HINTS, _NOT_SECRET_KEYS)
_PROVIDERS: Final = {
    "heroku": "heroku_api_key",
    "cloudflare": "cloudflare_api_key",
    "cf": "cloudflare_api_key",
    "datadog": "datadog_api_key",
    "dd": "datadog_api_key",
    "twilio": "twilio_api_key",
    "mailgun": "mailgun_api_key",
    "mailchimp": "mailchimp_api_key",
    "sendgrid": "sendgrid_api_key",
    "stripe": "stripe_api_key",
    "github": "github_token",
    "gh": "github_token",
    "gitlab": "gitlab_token",
    "bitbucket": "bitbucket_token",
    "jira": "atlassian_api_token",
    "atlassian": "atlassian_api_token",
    "confluence": "atlassian_api_token",
    "npm": "npm_token",
    "vault": "vault_token",
    "digitalocean": "digitalocean_token",
    "newrelic": "newrelic_key",
    "sentry": "sentry_token",
    "openai": "openai_api_key",
    "anthropic": "anthropic_api_key",
    "discord": "discord_token",
    "telegram": "telegram_bot_token",
    "facebook": "facebook_token",
    "fb": "facebook_token",
    "square": "square_token",
    "shopify": "shopify_token",
    "linear": "linear_api_key",
    "notion": "notion_token",
    "databricks": "databricks_token",
    "grafana": "grafana_token",
    "supabase": "supabase_key",
    "firebase": "firebase_server_key",
    "dropbox": "dropbox_token",
    "slack": "slack_token",
    "circleci": "circleci_token",
    "netlify": "netlify_token",
    "vercel": "vercel_token",
    "fly": "fly_token",
    "asana": "asana_token",
    "figma": "figma_token",
    "airtable": "airtable_token",
}


@lru_cache(maxsize=4096)
def meaning_of(name: str) -> Meaning | None:
    """Returns what a name such as ``DB_PASSWORD`` or ``clientSecret`` stands for.

    None when its last words do not name a credential: ``password_field``, ``max_tokens``,
    ``public_key``, ``PWD``.
    """
    parts = [part.lower() for part in _WORD.findall(name)]
    if name in {"PWD", "OLDPWD"} or not parts:
        return None
    while len(parts) > 1 and (parts[-1] in _QUALIFIERS or parts[-1].isdigit()):
        parts.pop()
    found = _class_of(parts)
    if found is None:
        return None
    kind, cls = found
    return Meaning(kind, cls, _provider_kind(parts), name.upper() == name)


def _class_of(parts: list[str]) -> tuple[str, Class] | None:
    last, before = parts[-1], parts[-2] if len(parts) > 1 else ""
    if last.endswith(_PASSWORDS):
        return "password", Class.PASSWORD
    if last in _SHORT_PASSWORDS:
        return "password", Class.SECRET
    if last.endswith("secret"):
        return "secret", Class.SECRET
    if last in _CREDENTIALS:
        return "secret", Class.TOKEN
    harmless = "public" in parts or before in _NOT_SECRET_BEFORE.get(last, _NOT_SECRET_TOKENS)
    return None if harmless else _class_of_token_or_key(last, before)


def _class_of_token_or_key(last: str, before: str) -> tuple[str, Class] | None:
    if last.endswith(_TOKENS):
        return ("api_key" if last.endswith("key") else "token"), Class.TOKEN
    if last == "key" and before in _KEYS:
        return "api_key", Class.TOKEN
    return ("high_entropy", Class.HINT) if last in _HINTS else None


def _provider_kind(parts: list[str]) -> str | None:
    if "aws" in parts or parts[-3:-1] == ["secret", "access"]:
        if parts[-1] == "token":
            return "aws_session_token"
        if "secret" in parts or parts[-1] == "key":
            return "aws_secret_key"
    if parts[:2] == ["new", "relic"]:
        return "newrelic_key"
    if "azure" in parts and parts[-1] == "secret":
        return "azure_client_secret"
    return next((_PROVIDERS[part] for part in parts if part in _PROVIDERS), None)
