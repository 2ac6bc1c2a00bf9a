"""What redaction looks for: one row per type, with its category and its placeholder.

A type's name is what a reader sees in ``[REDACTED:name]`` and in the counts, so names are
stable. Which categories are taken out depends on the privacy level of the record.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from memory_core.errors import InvalidInput


class Category(Enum):
    """Decides at which privacy levels a type is taken out."""

    CREDENTIAL = "credential"
    CARD = "card"
    SSN = "ssn"
    CONTACT = "contact"
    PRIVATE = "private"


@dataclass(frozen=True, slots=True)
class Kind:
    """One type of sensitive text: its stable name, what it is, and its category."""

    name: str
    title: str
    category: Category = Category.CREDENTIAL


_ALWAYS = frozenset({Category.CREDENTIAL, Category.CARD, Category.PRIVATE})

LEVELS: Final[dict[str, frozenset[Category]]] = {
    "PUBLIC": frozenset(Category),
    "TEAM": _ALWAYS | {Category.SSN},
    "PRIVATE": _ALWAYS,
    # Never stored; whatever of it may reach a log is redacted as if all could read it.
    "EPHEMERAL": frozenset(Category),
}

KINDS: Final[tuple[Kind, ...]] = (
    # What the user marked.
    Kind("private", "text between <private> and </private>", Category.PRIVATE),
    # Personal data.
    Kind("credit_card", "payment card number (issuer range and Luhn digit)", Category.CARD),
    Kind("ssn", "US social security number", Category.SSN),
    Kind("email", "e-mail address", Category.CONTACT),
    Kind("phone", "telephone number", Category.CONTACT),
    # Recognised by where they stand.
    Kind("password", "value assigned to a password"),
    Kind("secret", "value assigned to a secret"),
    Kind("token", "value assigned to a token"),
    Kind("api_key", "value assigned to an API, signing or encryption key"),
    Kind("high_entropy", "random value assigned to a name that hints at a credential"),
    Kind("authorization_header", "credentials of an Authorization header, or after Bearer"),
    Kind("basic_auth", "user:password given to curl and the like, or encoded for Basic"),
    Kind("cookie", "session value in a Cookie or Set-Cookie header"),
    Kind("url_password", "password in a URL or connection string"),
    Kind("presigned_url", "signature of a presigned URL"),
    Kind("password_hash", "crypt, bcrypt, scrypt or argon2 hash"),
    Kind("encoded_secret", "base64 text that hides one of the other types"),
    # Recognised by their own form.
    Kind("private_key", "PEM, OpenSSH, PGP, PuTTY or JWK private key"),
    Kind("age_secret_key", "age secret key"),
    Kind("jwt", "JSON web token"),
    Kind("memctx_api_key", "API key of memory-context"),
    # Clouds.
    Kind("aws_access_key", "AWS access key id"),
    Kind("aws_secret_key", "AWS secret access key"),
    Kind("aws_session_token", "AWS session token"),
    Kind("aws_bedrock_key", "AWS Bedrock API key"),
    Kind("google_api_key", "Google, GCP or Firebase API key"),
    Kind("google_oauth_secret", "Google OAuth client secret"),
    Kind("google_oauth_token", "Google OAuth access or refresh token"),
    Kind("firebase_server_key", "Firebase cloud messaging server key"),
    Kind("azure_storage_key", "Azure storage, service bus or Cosmos account key"),
    Kind("azure_client_secret", "Azure AD (Entra) client secret"),
    Kind("azure_sas_token", "signature of an Azure shared access signature"),
    Kind("azure_devops_token", "Azure DevOps personal access token"),
    Kind("azure_openai_key", "Azure OpenAI or Cognitive Services key"),
    Kind("alibaba_access_key", "Alibaba Cloud access key id"),
    Kind("digitalocean_token", "DigitalOcean token"),
    Kind("heroku_api_key", "Heroku API key"),
    Kind("cloudflare_api_key", "Cloudflare key or token"),
    Kind("fly_token", "Fly.io token"),
    Kind("netlify_token", "Netlify token"),
    Kind("render_api_key", "Render API key"),
    Kind("vercel_token", "Vercel token"),
    # Forges, registries, delivery.
    Kind("github_token", "GitHub personal, OAuth or refresh token"),
    Kind("github_app_token", "GitHub app token, user to server or server to server"),
    Kind("github_fine_grained_token", "GitHub fine-grained personal access token"),
    Kind("gitlab_token", "GitLab token (personal, runner, deploy, job, feed)"),
    Kind("bitbucket_token", "Bitbucket app password or access token"),
    Kind("atlassian_api_token", "Atlassian (Jira, Confluence) API token"),
    Kind("npm_token", "npm token"),
    Kind("pypi_token", "PyPI token"),
    Kind("rubygems_api_key", "RubyGems API key"),
    Kind("crates_io_token", "crates.io token"),
    Kind("docker_hub_token", "Docker Hub token"),
    Kind("artifactory_token", "Artifactory token"),
    Kind("vault_token", "HashiCorp Vault token"),
    Kind("terraform_cloud_token", "Terraform Cloud token"),
    Kind("pulumi_token", "Pulumi token"),
    Kind("doppler_token", "Doppler token"),
    Kind("onepassword_token", "1Password service account token"),
    Kind("circleci_token", "CircleCI token"),
    Kind("buildkite_token", "Buildkite token"),
    Kind("sonar_token", "SonarQube token"),
    Kind("databricks_token", "Databricks token"),
    Kind("planetscale_token", "PlanetScale token or password"),
    Kind("supabase_key", "Supabase token or secret key"),
    Kind("tailscale_key", "Tailscale key"),
    Kind("postman_api_key", "Postman API key"),
    # Models.
    Kind("anthropic_api_key", "Anthropic key or token"),
    Kind("openai_api_key", "OpenAI key, and others of the form sk-…"),
    Kind("openrouter_api_key", "OpenRouter API key"),
    Kind("huggingface_token", "Hugging Face token"),
    Kind("groq_api_key", "Groq API key"),
    Kind("xai_api_key", "xAI API key"),
    Kind("perplexity_api_key", "Perplexity API key"),
    Kind("replicate_token", "Replicate token"),
    Kind("nvidia_api_key", "NVIDIA API key"),
    Kind("pinecone_api_key", "Pinecone API key"),
    Kind("langsmith_api_key", "LangSmith API key"),
    Kind("tavily_api_key", "Tavily API key"),
    # Messages, payments, monitoring, office.
    Kind("slack_token", "Slack token"),
    Kind("slack_webhook", "Slack webhook"),
    Kind("discord_token", "Discord bot token"),
    Kind("discord_webhook", "Discord webhook"),
    Kind("teams_webhook", "Microsoft Teams webhook"),
    Kind("telegram_bot_token", "Telegram bot token"),
    Kind("twilio_api_key", "Twilio API key or auth token"),
    Kind("sendgrid_api_key", "SendGrid API key"),
    Kind("mailgun_api_key", "Mailgun API key"),
    Kind("mailchimp_api_key", "Mailchimp API key"),
    Kind("brevo_api_key", "Brevo API key"),
    Kind("stripe_api_key", "Stripe secret or restricted key"),
    Kind("stripe_webhook_secret", "Stripe webhook secret"),
    Kind("square_token", "Square token"),
    Kind("plaid_token", "Plaid access token"),
    Kind("shopify_token", "Shopify token"),
    Kind("facebook_token", "Facebook access token"),
    Kind("datadog_api_key", "Datadog API or application key"),
    Kind("newrelic_key", "New Relic key"),
    Kind("sentry_dsn", "key of a Sentry DSN"),
    Kind("sentry_token", "Sentry token"),
    Kind("grafana_token", "Grafana token or API key"),
    Kind("dynatrace_token", "Dynatrace token"),
    Kind("posthog_api_key", "PostHog personal API key"),
    Kind("linear_api_key", "Linear key or token"),
    Kind("notion_token", "Notion token"),
    Kind("figma_token", "Figma token"),
    Kind("airtable_token", "Airtable token"),
    Kind("asana_token", "Asana token"),
    Kind("hubspot_token", "HubSpot private app token"),
    Kind("contentful_token", "Contentful management token"),
    Kind("dropbox_token", "Dropbox token"),
    Kind("mapbox_token", "Mapbox secret token"),
    Kind("launchdarkly_key", "LaunchDarkly key"),
)

CATEGORY_OF: Final[dict[str, Category]] = {kind.name: kind.category for kind in KINDS}

_PREFIX: Final = "[REDACTED:"
_PLACEHOLDER: Final = re.compile(r"\[REDACTED:([a-z][a-z0-9_]{1,40})\]")


def placeholder(name: str) -> str:
    """Returns what stands in the text in place of a finding of type ``name``."""
    return f"{_PREFIX}{name}]"


def placeholder_spans(text: str) -> list[tuple[int, int]]:
    """Returns where earlier placeholders stand; only those of known types count.

    Anything else in such brackets is ordinary text, or a secret could hide in it.
    """
    if _PREFIX not in text:
        return []
    return [m.span() for m in _PLACEHOLDER.finditer(text) if m[1] in CATEGORY_OF]


def without_placeholders(text: str) -> str:
    """Returns the text with every placeholder of a known type left out."""
    if _PREFIX not in text:
        return text
    return _PLACEHOLDER.sub(lambda m: "" if m[1] in CATEGORY_OF else m[0], text)


def categories_of(level: str) -> frozenset[Category]:
    """Returns the categories taken out at a privacy level.

    Raises:
        InvalidInput: the level is not one of PUBLIC, TEAM, PRIVATE, EPHEMERAL.
    """
    try:
        return LEVELS[level]
    except (KeyError, TypeError) as error:
        raise InvalidInput("the privacy level is not one of " + ", ".join(LEVELS)) from error
