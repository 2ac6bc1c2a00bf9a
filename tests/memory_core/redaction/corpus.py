"""Made-up secrets in the places where real ones turn up.

Nothing here is a credential: every secret is put together from parts at run time by a seeded
generator, so neither this file nor the repository's history holds text of a secret's form.
"""

from __future__ import annotations

import base64
import json
import random
import string
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass

ALNUM = string.ascii_letters + string.digits
LOWER = string.ascii_lowercase + string.digits
UPPER = string.ascii_uppercase + string.digits
HEX = "0123456789abcdef"
B64 = ALNUM + "+/"
URL64 = ALNUM + "-_"

Maker = Callable[[random.Random], str]


@dataclass(frozen=True, slots=True)
class Planted:
    """A text that holds a secret, and the types that the finding may be given."""

    kinds: tuple[str, ...]
    secret: str
    text: str


def chars(rng: random.Random, size: int, alphabet: str = ALNUM) -> str:
    """Returns random characters, of which at least one is a letter and one a digit."""
    while True:
        text = "".join(rng.choice(alphabet) for _ in range(size))
        if any(c.isalpha() for c in text) and any(c.isdigit() for c in text):
            return text


def uuid(rng: random.Random) -> str:
    text = chars(rng, 32, HEX)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def b64url(data: object) -> str:
    raw = json.dumps(data, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def jwt(rng: random.Random) -> str:
    header = b64url({"alg": "HS256", "typ": "JWT"})
    body = b64url({"sub": chars(rng, 10), "iat": rng.randrange(10**9), "role": "service_role"})
    return f"{header}.{body}.{chars(rng, 43, URL64)}"


def made(*parts: str | tuple[int, str]) -> Maker:
    """Returns a maker that joins fixed texts and (length, alphabet) random parts."""

    def make(rng: random.Random) -> str:
        return "".join(p if isinstance(p, str) else chars(rng, p[0], p[1]) for p in parts)

    return make


# Tokens that their own form gives away: type, maker.
TOKENS: tuple[tuple[str, Maker], ...] = (
    ("aws_access_key", made("AK", "IA", (16, UPPER))),
    ("aws_access_key", made("AS", "IA", (16, UPPER))),
    ("aws_bedrock_key", made("AB", "SK", (128, B64))),
    ("aws_session_token", made("IQoJ", "b3JpZ2lu", (300, B64), "==")),
    ("google_api_key", made("AI", "za", (35, URL64))),
    ("google_oauth_secret", made("GOC", "SPX-", (28, URL64))),
    ("google_oauth_token", made("ya", "29.a0", (120, URL64))),
    ("google_oauth_token", made("1/", "/0", (60, URL64))),
    ("firebase_server_key", made("AAAA", (7, ALNUM), ":APA", "91b", (134, URL64))),
    ("azure_client_secret", made((3, ALNUM), "8", "Q~", (34, ALNUM))),
    ("azure_devops_token", made((76, ALNUM), "AZ", "DO", (4, ALNUM))),
    ("azure_openai_key", made((52, ALNUM), "JQQJ", "99", (26, ALNUM))),
    ("azure_storage_key", made((76, B64), "+A", "St", (6, ALNUM), "==")),
    ("alibaba_access_key", made("LT", "AI5t", (18, ALNUM))),
    ("digitalocean_token", made("dop", "_v1_", (64, HEX))),
    ("heroku_api_key", made("HR", "KU-", (60, URL64))),
    ("cloudflare_api_key", made("v1", ".0-", (24, HEX), "-", (146, HEX))),
    ("cloudflare_api_key", made("cf", "ut_", (40, ALNUM))),
    ("fly_token", made("fm", "2_", (90, ALNUM))),
    ("netlify_token", made("nf", "p_", (36, ALNUM))),
    ("render_api_key", made("rn", "d_", (32, ALNUM))),
    ("vercel_token", made("vc", "p_", (24, ALNUM))),
    ("vault_token", made("hv", "s.", (90, URL64))),
    ("terraform_cloud_token", made((14, ALNUM), ".atlas", "v1.", (67, URL64))),
    ("pulumi_token", made("pu", "l-", (40, HEX))),
    ("doppler_token", made("dp", ".pt.", (43, ALNUM))),
    ("onepassword_token", made("ops", "_eyJ", (250, ALNUM))),
    ("planetscale_token", made("pscale", "_tkn_", (43, URL64))),
    ("supabase_key", made("sb", "p_", (40, HEX))),
    ("supabase_key", made("sb_", "secret_", (22, ALNUM), "_", (8, ALNUM))),
    ("tailscale_key", made("tskey", "-auth-", (12, ALNUM), "-", (32, ALNUM))),
    ("databricks_token", made("da", "pi", (32, HEX))),
    ("age_secret_key", made("AGE-SECRET", "-KEY-1", (58, UPPER))),
    ("github_token", made("gh", "p_", (36, ALNUM))),
    ("github_token", made("gh", "o_", (36, ALNUM))),
    ("github_app_token", made("gh", "s_", (36, ALNUM))),
    ("github_app_token", made("gh", "u_", (36, ALNUM))),
    ("github_fine_grained_token", made("github", "_pat_", (22, ALNUM), "_", (59, ALNUM))),
    ("gitlab_token", made("gl", "pat-", (20, URL64))),
    ("gitlab_token", made("gl", "rt-", (20, URL64))),
    ("gitlab_token", made("gl", "pat-", (27, ALNUM), ".01.", (9, LOWER))),
    ("bitbucket_token", made("AT", "BB", (32, ALNUM))),
    ("atlassian_api_token", made("ATA", "TT3x", (180, URL64), "=", (8, UPPER))),
    ("npm_token", made("np", "m_", (36, ALNUM))),
    ("pypi_token", made("py", "pi-AgE", (120, URL64))),
    ("rubygems_api_key", made("ruby", "gems_", (48, HEX))),
    ("crates_io_token", made("ci", "o", (32, ALNUM))),
    ("docker_hub_token", made("dckr", "_pat_", (27, URL64))),
    ("artifactory_token", made("AK", "Cp", (69, ALNUM))),
    ("circleci_token", made("CCI", "PAT_", (22, ALNUM), "_", (40, HEX))),
    ("buildkite_token", made("bk", "ua_", (40, LOWER))),
    ("sonar_token", made("sq", "u_", (40, HEX))),
    ("postman_api_key", made("PM", "AK-", (24, HEX), "-", (34, HEX))),
    ("memctx_api_key", made("mc", "tx_", (43, URL64))),
    ("anthropic_api_key", made("sk", "-ant-api03-", (93, URL64), "AA")),
    ("anthropic_api_key", made("sk", "-ant-oat01-", (93, URL64), "AA")),
    ("openai_api_key", made("sk", "-proj-", (74, URL64), "T3Blbk", "FJ", (74, URL64))),
    ("openai_api_key", made("sk", "-", (20, ALNUM), "T3Blbk", "FJ", (20, ALNUM))),
    ("openrouter_api_key", made("sk", "-or-v1-", (64, HEX))),
    ("huggingface_token", made("h", "f_", (34, ALNUM))),
    ("groq_api_key", made("gs", "k_", (52, ALNUM))),
    ("xai_api_key", made("xa", "i-", (80, ALNUM))),
    ("perplexity_api_key", made("pp", "lx-", (48, ALNUM))),
    ("replicate_token", made("r", "8_", (37, ALNUM))),
    ("nvidia_api_key", made("nv", "api-", (64, URL64))),
    ("pinecone_api_key", made("pc", "sk_", (6, ALNUM), "_", (63, ALNUM))),
    ("langsmith_api_key", made("ls", "v2_pt_", (32, HEX), "_", (10, HEX))),
    ("tavily_api_key", made("tv", "ly-", (32, ALNUM))),
    ("slack_token", made("xo", "xb-", (12, string.digits + "a"), "-", (24, ALNUM))),
    ("slack_token", made("xo", "xp-", "123456789012-", (13, string.digits + "a"), "-", (32, HEX))),
    ("slack_token", made("xa", "pp-1-A", (10, UPPER), "-1234567890123-", (64, HEX))),
    ("discord_token", made("M", (25, ALNUM), ".", (6, URL64), ".", (38, ALNUM))),
    ("telegram_bot_token", made("7123456789", ":A", "A", (33, URL64))),
    ("twilio_api_key", made("S", "K", (32, HEX))),
    ("sendgrid_api_key", made("S", "G.", (22, URL64), ".", (43, URL64))),
    ("mailgun_api_key", made("ke", "y-", (32, HEX))),
    ("mailchimp_api_key", made((32, HEX), "-u", "s21")),
    ("brevo_api_key", made("xkey", "sib-", (64, HEX), "-", (16, ALNUM))),
    ("stripe_api_key", made("sk", "_live_", (24, ALNUM))),
    ("stripe_api_key", made("rk", "_live_", (99, ALNUM))),
    ("stripe_api_key", made("sk", "_test_", (24, ALNUM))),
    ("stripe_webhook_secret", made("wh", "sec_", (32, ALNUM))),
    ("square_token", made("sq0", "atp-", (22, URL64))),
    ("square_token", made("EA", "AAl", (59, ALNUM))),
    ("plaid_token", lambda rng: "access-" + "production-" + uuid(rng)),
    ("shopify_token", made("shp", "at_", (32, HEX))),
    ("facebook_token", made("EA", "AG", (160, ALNUM))),
    ("newrelic_key", made("NR", "AK-", (27, UPPER))),
    ("newrelic_key", made((36, HEX), "NR", "AL")),
    ("sentry_token", made("sntr", "yu_", (64, HEX))),
    ("grafana_token", made("gl", "sa_", (32, ALNUM), "_", (8, HEX))),
    ("grafana_token", made("gl", "c_", (100, ALNUM))),
    ("dynatrace_token", made("dt0", "c01.", (24, UPPER), ".", (64, UPPER))),
    ("posthog_api_key", made("ph", "x_", (43, ALNUM))),
    ("linear_api_key", made("lin", "_api_", (40, ALNUM))),
    ("notion_token", made("nt", "n_", (46, ALNUM))),
    ("notion_token", made("sec", "ret_", (43, ALNUM))),
    ("figma_token", made("fi", "gd_", (40, URL64))),
    ("airtable_token", made("pa", "t", (14, ALNUM), ".", (64, HEX))),
    ("asana_token", made("1/", "1234567890123456:", (32, HEX))),
    ("hubspot_token", lambda rng: "pat-" + "na1-" + uuid(rng)),
    ("contentful_token", made("CF", "PAT-", (43, URL64))),
    ("dropbox_token", made("s", "l.", (140, URL64))),
    ("mapbox_token", made("s", "k.eyJ", (80, ALNUM), ".", (22, ALNUM))),
    ("launchdarkly_key", lambda rng: "sdk-" + uuid(rng)),
    ("jwt", jwt),
)


def _wrapped_in_base64(secret: str) -> tuple[str, str]:
    coded = base64.b64encode(f"user_token: {secret}\n".encode()).decode()
    return coded, f"data:\n  config: {coded}\n"


# Places in which a token turns up. Each is text with one ``{}``.
CONTEXTS: tuple[tuple[str, str], ...] = (
    ("env dump", "HOME=/root\nSERVICE_CREDENTIAL={}\nPATH=/usr/bin:/bin\nSHLVL=1\n"),
    ("export", "export UPSTREAM='{}' && make deploy"),
    ("header", "curl -s -H 'X-Upstream: {}' https://api.internal/v1/items | jq ."),
    ("json", '{{"id": 7, "upstream": "{}", "retries": 3}}'),
    ("json in json", '{{"content": "{{\\"upstream\\": \\"{}\\"}}"}}'),
    ("escaped lines", '{{"stdout": "loading\\n{}\\ndone\\n"}}'),
    ("yaml", "services:\n  api:\n    upstream: {}\n    replicas: 2\n"),
    ("python", 'client = Client("{}", timeout=30)'),
    ("query", "GET /v1/items?page=2&upstream={}&sort=asc HTTP/1.1"),
    ("log", "2026-03-04T05:06:07Z WARN upstream refused credential {} (status=401)"),
    ("numbered lines", "    41\u2192def client():\n    42\u2192    return connect({})\n"),
    ("colour", "\x1b[32m{}\x1b[0m ok"),
    ("markdown", "Use `{}` for the staging box, then rotate it."),
    ("diff", "-upstream = old\n+upstream = {}\n"),
    ("xml", "<upstream>{}</upstream>"),
    ("csv", "id,name,upstream\n1,staging,{}\n"),
)


def planted_tokens(seed: int = 20) -> Iterator[Planted]:
    """Yields every token in every context, and once hidden in base64."""
    rng = random.Random(seed)
    for kind, make in TOKENS:
        for _, context in CONTEXTS:
            secret = make(rng)
            yield Planted((kind,), secret, context.format(secret))
        coded, text = _wrapped_in_base64(make(rng))
        yield Planted(("encoded_secret",), coded, text)


def person_made(rng: random.Random) -> str:
    """A password as people choose them: a word, digits, a sign."""
    word = rng.choice(("Sommer", "tiger", "Kestrel", "mango", "Harbor", "quartz", "velvet"))
    return f"{word}{rng.randrange(10, 9999)}{rng.choice('!@*+?')}"


def pem(rng: random.Random, label: str = "RSA ") -> str:
    body = "\n".join(textwrap.wrap(chars(rng, 600, B64), 64))
    return (
        f"-----BEGIN {label}" + f"PRIVATE KEY-----\n{body}\n-----END {label}" + "PRIVATE KEY-----"
    )


# Secrets that their place gives away: types, maker, text with one ``{}``.
PLACED: tuple[tuple[tuple[str, ...], Maker, str], ...] = (
    # Passwords in many syntaxes.
    (("password",), person_made, "DB_PASSWORD={}"),
    (("password",), person_made, "export PGPASSWORD={} && psql -h db"),
    (("password",), person_made, "PGPASSWORD='{}' psql -U app"),
    (("password",), person_made, 'password = "{}"'),
    (("password",), person_made, "password: {}\nuser: app\n"),
    (("password",), person_made, '"password": "{}",'),
    (("password",), person_made, "{{'user': 'app', 'passwd': '{}'}}"),
    (("password",), person_made, 'connect(host="db", password="{}")'),
    (("password",), person_made, "mysqldump --user=app --password={} shop > shop.sql"),
    (("password",), person_made, "psql-tool --db-password {} --verbose"),
    (("password",), person_made, "mysql -u root -p{} shop"),
    (("password",), person_made, "sshpass -p {} ssh deploy@host"),
    (("password",), person_made, "docker login -u bot -p {} registry.internal"),
    (("password",), person_made, "redis-cli -h cache -a {} ping"),
    (("password",), person_made, "spring.datasource.password={}"),
    (("password",), person_made, "<password>{}</password>"),
    (("password",), person_made, '<add key="SmtpPassword" value="{}" />'),
    (("password",), person_made, "- name: POSTGRES_PASSWORD\n  value: {}\n"),
    (("password",), person_made, '{{"name": "ADMIN_PASSWORD", "value": "{}"}}'),
    (("password",), person_made, "machine git.internal login bot password {}"),
    (("password",), person_made, "CREATE USER app WITH PASSWORD '{}';"),
    (("password",), person_made, "ALTER USER 'app'@'%' IDENTIFIED BY '{}';"),
    (("password",), person_made, "Server=db;Database=shop;User Id=sa;Password={};Encrypt=yes"),
    (("password",), person_made, "host=db port=5432 user=app password={} dbname=shop"),
    (("password",), person_made, '{{"args": "{{\\"password\\": \\"{}\\"}}"}}'),
    (("password",), person_made, "const dbPassword = '{}';"),
    (("password",), person_made, 'String password = "{}";'),
    (("password",), person_made, 'password: str = "{}"'),
    (("password",), person_made, 'if password == "{}":'),
    (("password",), person_made, '$config["password"] = "{}";'),
    (("password",), person_made, "os.getenv('DB_PASSWORD', '{}')"),
    (("password",), person_made, "process.env.DB_PASSWORD || '{}'"),
    (("password",), person_made, 'SecretStr(password="{}")'),
    (("password",), person_made, "the admin password is {} until Friday"),
    (("password",), person_made, "openssl rsa -in k.pem -passin pass:{} -out k"),
    (("password",), person_made, "ENV MYSQL_ROOT_PASSWORD={}"),
    (("password",), person_made, "password: >-\n  {}\n"),
    (("password",), person_made, 'password = (\n    "{}"\n)'),
    (("password",), person_made, "    12\u2192DB_PASSWORD={}\n    13\u2192DB_HOST=db"),
    (("password",), person_made, "+REDIS_PASSWORD={}"),
    (("basic_auth",), person_made, "curl -u admin:{} https://api.internal/v1"),
    (("basic_auth",), person_made, "curl -sS --user 'admin:{}' https://api.internal/v1"),
    (("basic_auth",), person_made, "curl https://api.internal/v1 \\\n  -u admin:{}"),
    # Connection strings.
    (("url_password",), made((14, ALNUM)), "postgresql://app:{}@db.internal:5432/shop"),
    (("url_password",), made((14, ALNUM)), "mongodb+srv://app:{}@cluster0.mongodb.net/?w=majority"),
    (("url_password",), made((14, ALNUM)), "redis://:{}@cache:6379/0"),
    (("url_password",), made((14, ALNUM)), "amqp://guest1:{}@mq:5672/%2f"),
    (("url_password",), made((14, ALNUM)), "DATABASE_URL=mysql://root:{}@127.0.0.1/shop"),
    (("url_password",), made((14, ALNUM)), "git clone https://bot:{}@git.internal/a/b.git"),
    (("url_password",), made((14, ALNUM)), 'dsn := "app:{}@tcp(db:3306)/shop?parseTime=true"'),
    (("url_password",), made((14, ALNUM)), "ftp://files:{}@ftp.internal/pub"),
    (("url_password",), made((40, HEX)), "https://{}@git.internal/a/b.git"),
    (("sentry_dsn",), made((32, HEX)), "SENTRY_DSN=https://{}@o12345.ingest.sentry.io/4507"),
    # Headers.
    (("authorization_header",), made((40, ALNUM)), "Authorization: Bearer {}"),
    (("authorization_header",), made((40, HEX)), "Authorization: token {}"),
    (("authorization_header",), made((32, URL64)), 'headers = {{"Authorization": "Bearer {}"}}'),
    (
        ("authorization_header",),
        made((32, ALNUM)),
        "curl -H 'Authorization: Bearer {}' https://x.y",
    ),
    (("authorization_header",), made((32, ALNUM)), '-H \\"Authorization: Bearer {}\\"'),
    (("authorization_header",), made((32, ALNUM)), "> authorization: Bearer {}\n> accept: */*"),
    (("authorization_header",), made((32, ALNUM)), "Proxy-Authorization: Bearer {}"),
    (
        ("basic_auth", "authorization_header"),
        lambda rng: base64.b64encode(f"bot:{chars(rng, 12)}".encode()).decode(),
        "Authorization: Basic {}",
    ),
    (("api_key",), made((32, HEX)), "curl -H 'X-Api-Key: {}' https://api.internal"),
    (("api_key", "datadog_api_key"), made((32, HEX)), "curl -H 'DD-API-KEY: {}' https://x.y"),
    (("token", "gitlab_token"), made((20, ALNUM)), 'curl --header "PRIVATE-TOKEN: {}" https://g.i'),
    (("cookie",), made((32, HEX)), "Cookie: theme=dark; sessionid={}; lang=en"),
    (("cookie",), made((40, URL64)), "Set-Cookie: session={}; Path=/; HttpOnly"),
    # Keys of providers that only the name gives away.
    (("aws_secret_key",), made((40, B64)), "AWS_SECRET_ACCESS_KEY={}"),
    (("aws_secret_key",), made((40, B64)), "aws_secret_access_key = {}\nregion = eu-west-1\n"),
    (("aws_secret_key",), made((40, B64)), '"SecretAccessKey": "{}",'),
    (("aws_secret_key",), made((40, B64)), "AWS Secret Access Key [None]: {}"),
    (("aws_secret_key",), made((40, B64)), "AK" + "IAQ3EGTEXMPLEQAB27,{}"),
    (("heroku_api_key",), uuid, "HEROKU_API_KEY={}"),
    (("cloudflare_api_key",), made((40, URL64)), "CLOUDFLARE_API_TOKEN={}"),
    (("cloudflare_api_key",), made((37, HEX)), "CF_API_KEY={}"),
    (("datadog_api_key",), made((32, HEX)), "DD_API_KEY={}"),
    (("datadog_api_key", "api_key"), made((40, HEX)), "datadog:\n  app_key: {}\n"),
    (("twilio_api_key",), made((32, HEX)), "TWILIO_AUTH_TOKEN={}"),
    (("mailgun_api_key",), made((32, HEX), "-", (8, HEX), "-", (8, HEX)), "MAILGUN_API_KEY={}"),
    (("npm_token",), uuid, "npm_auth_token={}"),
    (("bitbucket_token",), made((44, URL64)), "BITBUCKET_CLIENT_SECRET={}"),
    (("discord_token",), made((32, ALNUM)), "DISCORD_CLIENT_SECRET={}"),
    (("facebook_token",), made((32, HEX)), "FACEBOOK_APP_SECRET={}"),
    (("azure_client_secret",), made((40, ALNUM)), "AZURE_CLIENT_SECRET={}"),
    (("azure_storage_key",), made((86, B64), "=="), "AccountName=shop;AccountKey={};Endpoint"),
    (("azure_storage_key",), made((43, B64), "="), "sb://x.y/;SharedAccessKey={}"),
    (("azure_sas_token",), made((43, ALNUM), "%3D"), "https://s.blob.x/c?sv=2024-01-01&sig={}"),
    (("presigned_url",), made((64, HEX)), "https://b.s3.x/k?X-Amz-Expires=60&X-Amz-Signature={}"),
    (
        ("slack_webhook",),
        made("T", (8, UPPER), "/B", (8, UPPER), "/", (24, ALNUM)),
        "https://hooks.slack" + ".com/services/{}",
    ),
    (
        ("teams_webhook",),
        made(
            "webhookb2/", (36, HEX), "@", (36, HEX), "/IncomingWebhook/", (32, HEX), "/", (36, HEX)
        ),
        "https://acme.webhook" + ".office.com/{}",
    ),
    (
        ("discord_webhook",),
        made("123456789012345678/", (68, URL64)),
        "https://discord.com/api" + "/webhooks/{}",
    ),
    # Secrets, tokens and keys given to a name.
    (("secret",), made((32, ALNUM)), "CLIENT_SECRET={}"),
    (("secret",), made((24, ALNUM + "!$%&*")), 'SECRET = "{}"'),
    (("secret",), made((40, URL64)), "clientSecret: '{}',"),
    (("secret",), made((32, HEX)), "--client-secret {} --tenant acme"),
    (("token",), made((32, HEX)), "token = '{}'"),
    (("token",), made((40, ALNUM)), "ACCESS_TOKEN={}"),
    (("token",), made((40, ALNUM)), "GET /v1?access_token={}&page=1"),
    (("token",), made((36, ALNUM)), "deploy --token {}"),
    (("token",), made((36, ALNUM)), "//registry.internal/:_authToken={}"),
    (("token",), made((30, URL64)), '{{\\"refresh_token\\": \\"{}\\"}}'),
    (("api_key",), made((32, ALNUM)), 'apiKey: "{}"'),
    (("api_key",), made((32, ALNUM)), "API_KEY={}"),
    (("api_key",), made((32, ALNUM)), "my api key is {} please try it"),
    (("api_key",), made((44, B64)), "ENCRYPTION_KEY={}"),
    (("api_key",), made((50, ALNUM + "!@#^&*-_=+")), "SECRET_KEY = 'dj{}'"),
    (("api_key",), made((43, B64), "="), "PrivateKey = {}"),
    (("high_entropy",), made((40, B64)), 'auth: "{}"'),
    (("secret",), made((44, ALNUM)), "STORE_CREDENTIALS={}"),
    (("high_entropy",), made((44, ALNUM)), "ACME_BLOB={}"),
    (("high_entropy",), made((64, URL64)), "export ACME_LINK='{}'"),
    (("password_hash",), made("$2b$12$", (53, ALNUM)), "app:{}:1000:1000::/home/app:/bin/sh"),
    (("password_hash",), made("$6$", (16, ALNUM), "$", (86, ALNUM)), "root:{}:19000:0:99999:7:::"),
    # Key blocks.
    (("private_key",), pem, "{}\n"),
    (("private_key",), lambda rng: pem(rng, "OPENSSH "), "cat ~/.ssh/id_ed25519\n{}\n$ ls"),
    (("private_key",), lambda rng: pem(rng, ""), "tls.key: |\n{}\n"),
    (("private_key",), lambda rng: pem(rng).replace("\n", "\\n"), '"private_key": "{}\\n",'),
    (("private_key",), lambda rng: pem(rng).replace("\n", "\\\\n"), '"x": "{{\\"k\\": \\"{}\\"}}"'),
    (("private_key",), lambda rng: pem(rng).rsplit("\n", 3)[0], "{}\n"),
    (("private_key",), lambda rng: pem(rng).split("\n", 4)[4], "...\n{}\n"),
    (
        ("private_key",),
        lambda rng: pem(rng, "PGP ").replace("KEY-----", "KEY BLOCK-----"),
        "gpg --export-secret-keys\n{}\n",
    ),
    (
        ("private_key",),
        lambda rng: "\n".join(f"{n:6}\u2192{row}" for n, row in enumerate(pem(rng).split("\n"), 1)),
        "{}\n",
    ),
    (("private_key",), made((43, URL64)), '{{"kty": "EC", "crv": "P-256", "d": "{}"}}'),
    (
        ("encoded_secret",),
        lambda rng: base64.b64encode(pem(rng).encode()).decode(),
        "client-key-data: {}\n",
    ),
    (
        ("encoded_secret",),
        lambda rng: base64.b64encode(f"DB_PASSWORD={person_made(rng)}\n".encode()).decode(),
        "  app.env: {}\n",
    ),
    # Cards and numbers.
    (("credit_card",), lambda _: "4111 1111 " + "1111 1111", "card {} exp 12/29"),
    (("credit_card",), lambda _: "5500-0000-" + "0000-0004", '"pan": "{}"'),
    (("credit_card",), lambda _: "378282" + "246310005", "amex={}"),
    (("credit_card",), lambda _: "601111111" + "1111117", "charged {} twice"),
    (("ssn",), lambda _: "123-45" + "-6789", "SSN: {}"),
    (("ssn",), lambda _: "536-90" + "-4399", '{{"ssn": "{}"}}'),
)


def planted_in_place(seed: int = 21, rounds: int = 3) -> Iterator[Planted]:
    """Yields every secret that its place gives away, several times with other values."""
    rng = random.Random(seed)
    for kinds, make, text in PLACED:
        for _ in range(rounds):
            secret = make(rng)
            yield Planted(kinds, secret, text.format(secret))
