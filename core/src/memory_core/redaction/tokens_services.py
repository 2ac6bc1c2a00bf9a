"""Tokens of messaging, payment, monitoring and office services, and JSON web tokens."""

from __future__ import annotations

from typing import Final

from memory_core.redaction.rules import Rule, scrambled

_UUID: Final = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

SERVICE_RULES: Final[tuple[Rule, ...]] = (
    # A JSON object encoded in base64url begins with eyJ, and a JWT with two of them.
    Rule(
        "jwt",
        ("eyJ",),
        r"eyJ[A-Za-z0-9_-]{8,}+\.(?:eyJ[A-Za-z0-9_-]{4,}+(?:\.[A-Za-z0-9_-]*)?"
        r"|[A-Za-z0-9_-]*+(?:\.[A-Za-z0-9_-]++){3})",
        alone=True,
    ),
    Rule(
        "slack_token",
        ("xoxb-", "xoxp-", "xoxa-", "xoxr-", "xoxs-", "xoxo-", "xoxe-"),
        r"xox[bpaorse]-[A-Za-z0-9-]{10,}",
        accept=lambda v: any(c.isdigit() for c in v),
    ),
    Rule(
        "slack_token", ("xoxe.xox", "xoxc-", "xoxd-"), r"xox(?:e\.xox[bp]|[cd])-[A-Za-z0-9%-]{20,}"
    ),
    Rule("slack_token", ("xapp-",), r"xapp-\d-[A-Z0-9]{8,}-\d+-[a-f0-9]{32,}"),
    Rule(
        "slack_webhook",
        ("hooks.slack.com/", "hooks.slack-gov.com/"),
        r"hooks\.slack(?:-gov)?\.com/(?P<secret>(?:services|workflows|triggers)/[A-Za-z0-9+/_-]{24,})",
    ),
    Rule(
        "discord_webhook",
        ("/api/webhooks/",),
        r"/api/webhooks/(?P<secret>\d{15,22}/[A-Za-z0-9_-]{40,})",
    ),
    Rule(
        "teams_webhook",
        (".webhook.office.com/",),
        r"\.webhook\.office\.com/(?P<secret>webhookb2/[A-Za-z0-9@/_-]{60,})",
    ),
    Rule(
        "telegram_bot_token",
        (":AA",),
        r"\d{8,10}:AA[A-Za-z0-9_-]{32,35}(?![A-Za-z0-9_-])",
        leads=(10, 9, 8),
        anywhere=True,
    ),
    Rule("twilio_api_key", ("SK",), r"SK[0-9a-f]{32}(?![A-Za-z0-9])"),
    Rule("sendgrid_api_key", ("SG.",), r"SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}"),
    Rule("mailgun_api_key", ("key-",), r"key-[0-9a-f]{32}(?![A-Za-z0-9])"),
    Rule(
        "mailchimp_api_key",
        ("-us",),
        r"[0-9a-f]{32}-us\d{1,2}(?![A-Za-z0-9])",
        leads=(32,),
        alone=True,
    ),
    Rule(
        "brevo_api_key", ("xkeysib-", "xsmtpsib-"), r"x(?:key|smtp)sib-[0-9a-f]{64}-[A-Za-z0-9]{16}"
    ),
    Rule(
        "stripe_api_key",
        ("sk_live_", "sk_test_", "sk_prod_", "rk_live_", "rk_test_", "rk_prod_"),
        r"[sr]k_(?:live|test|prod)_[A-Za-z0-9]{10,}",
    ),
    Rule("stripe_webhook_secret", ("whsec_",), r"whsec_[A-Za-z0-9+/=]{24,}", accept=scrambled),
    Rule("square_token", ("sq0atp-", "sq0csp-", "sq0idp-"), r"sq0(?:at|cs|id)p-[A-Za-z0-9_-]{20,}"),
    Rule(
        "square_token",
        ("EAAA",),
        r"(?<![+/])EAAA[A-Za-z0-9+=_-]{60}(?![A-Za-z0-9+=_-])",
        accept=scrambled,
    ),
    Rule("facebook_token", ("EAA",), r"(?<![+/])EAA[A-Za-z0-9]{70,}"),
    Rule("plaid_token", ("access-",), r"access-(?:sandbox|development|production)-" + _UUID),
    Rule(
        "shopify_token",
        ("shpat_", "shpca_", "shppa_", "shpss_", "shptka_"),
        r"shp(?:at|ca|pa|ss|tka)_[A-Fa-f0-9]{32}",
    ),
    Rule(
        "newrelic_key",
        ("NRAK-", "NRII-", "NRRA-", "NRIQ-", "NRSP-"),
        r"NR(?:AK|II|RA|IQ|SP)-[A-Za-z0-9_-]{24,}",
    ),
    Rule("newrelic_key", ("NRAL",), r"[A-Za-z0-9]{36}NRAL(?![A-Za-z0-9])", leads=(36,)),
    Rule("sentry_token", ("sntrys_", "sntryu_"), r"sntry[su]_[A-Za-z0-9+/=_-]{40,}"),
    Rule(
        "grafana_token",
        ("glc_", "glsa_"),
        r"gl(?:c_[A-Za-z0-9+/]{32,}={0,2}|sa_[A-Za-z0-9]{28,}_[A-Fa-f0-9]{8})",
    ),
    Rule("grafana_token", ("eyJrIjoi",), r"eyJrIjoi[A-Za-z0-9+/_-]{50,}={0,2}", alone=True),
    Rule(
        "dynatrace_token",
        ("dt0c01.", "dt0s16."),
        r"dt0[cs](?:01|16)\.[A-Z0-9-]{8,24}\.[A-Z0-9]{50,}",
    ),
    Rule("posthog_api_key", ("phx_",), r"phx_[A-Za-z0-9]{36,}"),
    Rule("linear_api_key", ("lin_api_", "lin_oauth_"), r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}"),
    Rule("notion_token", ("ntn_",), r"ntn_[A-Za-z0-9]{36,}"),
    Rule("notion_token", ("secret_",), r"secret_[A-Za-z0-9]{43}(?![A-Za-z0-9])", accept=scrambled),
    Rule("figma_token", ("figd_", "figo_"), r"fig[do]_[A-Za-z0-9_-]{36,}"),
    Rule("airtable_token", ("pat",), r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}"),
    Rule("asana_token", ("1/", "2/"), r"[12]/\d{15,17}(?:/\d{15,17})?:[a-f0-9]{32}"),
    Rule("hubspot_token", ("pat-",), r"pat-[a-z]{2}\d-" + _UUID),
    Rule("contentful_token", ("CFPAT-",), r"CFPAT-[A-Za-z0-9_-]{40,}"),
    Rule("dropbox_token", ("sl.",), r"sl\.(?:u\.)?[A-Za-z0-9_-]{100,}"),
    Rule("mapbox_token", ("sk.eyJ",), r"sk\.eyJ[A-Za-z0-9_-]{30,}\.[A-Za-z0-9_-]{16,}"),
    Rule("launchdarkly_key", ("sdk-", "mob-", "api-"), r"(?:sdk|mob|api)-" + _UUID),
)
