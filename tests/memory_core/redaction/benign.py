"""Lines that must stay as they are: code, hashes, ids, encoded images, logs, prose."""

from __future__ import annotations

import base64
import hashlib
import random
from collections.abc import Iterator

from tests.memory_core.redaction.corpus import B64, HEX, chars, uuid

CODE = r"""
token = get_token()
token = self._tokens.pop()
token: str | None = None
token: Token = lexer.next()
password_field = form.fields["password"]
password = getpass.getpass("Password: ")
password = os.environ["DB_PASSWORD"]
password = os.environ.get("DB_PASSWORD")
password = settings.database.password
password = request.form.get("password", "")
password: str = Field(min_length=12, max_length=128)
password: SecretStr
def login(username: str, password: str) -> Session:
login(username=username, password=password)
if not check_password(password, user.password_hash):
self.password = password
raise ValueError("password must have at least 12 characters")
"password": "string",
"password": null,
"password": "",
{"type": "password", "name": "password", "autocomplete": "current-password"}
<input type="password" name="password" placeholder="Password" />
<label for="password">Password</label>
const { password, email } = req.body;
const token = req.headers.authorization?.split(" ")[1];
const [token, setToken] = useState<string | null>(null);
headers: { Authorization: `Bearer ${token}` },
headers = {"Authorization": f"Bearer {token}"}
request.headers["X-Api-Key"] = api_key
api_key = config.get("api_key")
apiKey: process.env.OPENAI_API_KEY,
api_key=os.getenv("ANTHROPIC_API_KEY"),
secret = secrets.token_urlsafe(32)
SECRET_KEY = env("SECRET_KEY")
SECRET_KEY = os.environ.get("SECRET_KEY", "")
secret_name = "prod-db-credentials"
secretName: db-credentials
secretKeyRef: {name: db, key: password}
max_tokens: 4096
max_tokens=4096, temperature=0.7, stop=["\n\n"]
"max_tokens": 128000, "input_tokens": 3120, "output_tokens": 211
tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
token_count = len(encoding.encode(text))
pad_token = "<pad>"
eos_token="</s>", bos_token="<s>", unk_token="<unk>"
primary_key=True, autoincrement=True
foreign_key = ForeignKey("users.id")
key = f"{tenant}:{project}:{head}"
for key, value in sorted(mapping.items()):
cache_key = hashlib.sha256(payload).hexdigest()
key=lambda item: (item.score, item.created_at)
sorted(rows, key=itemgetter("created_at"))
public_key = load_pem_public_key(data)
private_key = load_pem_private_key(path.read_bytes(), password=None)
private_key = ec.generate_private_key(ec.SECP256R1())
if "-----BEGIN RSA PRIVATE KEY-----" in text:
re.compile(r"-----BEGIN (?:RSA )?PRIVATE KEY-----")
auth = HTTPBasicAuth(user, password)
authenticate(username, password)
@router.post("/auth/token", response_model=TokenOut)
class TokenExpired(Unauthorized):
from app.auth.tokens import AccessToken, RefreshToken
import { getServerSession } from "next-auth";
import secrets, string, hashlib
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
use jsonwebtoken::{decode, encode, DecodingKey, EncodingKey, Header};
func (s *Server) authenticate(ctx context.Context, token string) (*User, error) {
let token = parser.expect(TokenKind::Identifier)?;
SELECT id, email, password_hash FROM users WHERE id = $1;
ALTER TABLE users ADD COLUMN password_hash TEXT NOT NULL;
CREATE UNIQUE INDEX api_keys_key_hash_idx ON api_keys (tenant_id, key_hash);
export DB_PASSWORD=$(pass show prod/db)
export GITHUB_TOKEN="$(gh auth token)"
GITHUB_TOKEN: ${{ secrets.GITHUB_TOKEN }}
POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?required}
DB_PASSWORD=${DB_PASSWORD}
DB_PASSWORD=changeme
API_KEY=<your-api-key>
API_KEY=your_api_key_here
OPENAI_API_KEY=sk-...
OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
password=********
password: "{{ vault_db_password }}"
password: !vault |
token: "${TOKEN}"
--password PASSWORD   password for the database
  --token TOKEN         API token (default: $API_TOKEN)
usage: deploy [--token TOKEN] [--password-file FILE]
mysql -u root -p shop < dump.sql
mkdir -p build/out && cp -r src/. build/out
docker run -p 8080:80 -e DB_PASSWORD nginx
curl -u "$USER:$PASS" https://api.internal
curl -u user:password https://api.internal/v1
curl -H "Authorization: Bearer $TOKEN" https://api.internal
curl -H "Authorization: Bearer <token>" https://api.internal
nc -u -l 41234
ssh -p 2222 deploy@10.0.0.4
git clone git@github.com:acme/api.git
git clone https://github.com/acme/api.git
psql postgresql://localhost:5432/shop
DATABASE_URL=postgresql://user:password@localhost/db
DATABASE_URL=postgresql://${DB_USER}:${DB_PASSWORD}@${DB_HOST}/shop
redis://localhost:6379/0
http://localhost:8080/path?next=/@acme/web
s3://bucket/prefix/part-00000-of-00010.parquet
arn:aws:iam::123456789012:role/service-role/deployer
aws_access_key_id = AKIAIOSFODNN7EXAMPLE
AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
.sk-fading-circle .sk-circle-fade-dot { animation-delay: -1.1s; }
#sk-container-id-1 div.sk-label-container:hover label.sk-toggleable__label {}
.token.keyword { color: #07a; } .token.string { color: #690; }
@media (min-width: 640px) { .sm\:grid-cols-2 { grid-template-columns: repeat(2, 1fr) } }
background:url(data:image/svg+xml;utf8,<svg/>);color:#1a2b3c
!function(e,t){"object"==typeof exports?module.exports=t():e.token=t()}(this,function(){return 1});
var e=n(1),t=e.key,r=e.token||t.password;function o(a){return a?a.key:null}
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
data-testid="reset-password-button" aria-label="Reset password"
errors.password = t("errors.password.required");
i18n: { "password.label": "Password", "password.hint": "At least 12 characters" }
expect(screen.getByLabelText("Password")).toBeVisible();
assert response.json()["token_type"] == "bearer"
"token_type": "bearer", "expires_in": 3600
"next_page_token": "CAESBgoEdGVzdA", "page_size": 50
WWW-Authenticate: Bearer realm="api", error="invalid_token"
Access-Control-Allow-Headers: Authorization, Content-Type, X-Api-Key
securitySchemes: {bearerAuth: {type: http, scheme: bearer, bearerFormat: JWT}}
x = q @ k.transpose(-2, -1) / math.sqrt(d)
y = weights@self.bias.to(device)
@pytest.mark.parametrize("level", ["PUBLIC", "TEAM", "PRIVATE"])
npm install @types/node@20.11.5 @scope/pkg@^1.2.3
uses: actions/checkout@v4
FROM python:3.11-slim AS build
kubectl get secret db -o jsonpath='{.data.password}' | base64 -d
vault kv get -field=password secret/prod/db
keyword arguments: passes, bypass, compass, tokenless, keyless, secretary
monkey = turkey + donkey
the password is required and the token is optional
Enter your password to continue
Forgot your password? Reset it here.
We rotate the signing key every ninety days.
Please pass `stream=True` to get tokens as they come.
The secret of a good cache key is that it names everything the answer depends on.
const password = "password";
password = "test"
PASSWORD_MIN_LENGTH = 12
PWD=/home/dev/work/api
OLDPWD=/home/dev
SSH_AUTH_SOCK=/run/user/1000/keyring/ssh
LS_COLORS=rs=0:di=01;34:ln=01;36:mh=00:pi=40;33
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin
VIRTUAL_ENV=/home/dev/api/.venv
KEYBOARD_LAYOUT=us
KEY_PREFIX=memctx
TOKEN_URL=https://login.internal/oauth2/token
TOKEN_TTL_SECONDS=3600
AUTH_MODE=oidc
keystore.path=/etc/ssl/keystore.jks
<PasswordBox x:Name="PasswordBox" Width="200" />
<assemblyIdentity name="Core" publicKeyToken="b03f5f7f11d50a3a" />
password_hash = bcrypt.hashpw(raw, bcrypt.gensalt(12))
Password1 := widget.NewPasswordEntry()
enum Scope { Read = "read", Write = "write", Admin = "admin" }
type Credentials struct { Username, Password string }
assert "password" not in caplog.text
logger.warning("token expired", extra={"key_id": key.id})
"""

LOGS = r"""
2026-03-04T05:06:07.123456Z INFO request finished status=200 duration_ms=12 request_id=req-8841
2026-03-04 05:06:07,123 ERROR [pool-3-thread-1] c.a.s.AuthFilter - invalid token for user 1042
[12345.678901] usb 1-1.2: new high-speed USB device number 4 using xhci_hcd
Mar  4 05:06:07 host sshd[4021]: Failed password for invalid user admin from 203.0.113.9 port 51022
Mar  4 05:06:07 host sshd[4021]: Accepted publickey for deploy from 203.0.113.9 port 51022 ssh2
203.0.113.9 - - [04/Mar/2026:05:06:07 +0000] "GET /login?next=%2F HTTP/1.1" 302 0
error: failed to push some refs to 'github.com:acme/api.git'
warning: LF will be replaced by CRLF in src/auth/password.ts
FAILED tests/test_auth.py::test_token_expired - assert 401 == 403
tests/test_auth.py::test_password_reset PASSED [ 42%]
E   AssertionError: assert 'token' in {'access': 'read'}
 12 files changed, 340 insertions(+), 128 deletions(-)
@@ -1017,12 +1017,18 @@ def authenticate(token: str) -> Actor:
1,234,567 rows in 0.812 s (1520402 rows/s)
epoch 1772600767 microseconds 1772600767123456 nanoseconds 1772600767123456789
uptime 4111111111111112 ns, offset 5105105105105101, cursor 6011111111111111
build 20260304.050607 version 4.1.1111-rc.2+build.1111
coordinates 48.858370, 2.294481 and -33.856784, 151.215297
pi = 3.14159265358979323846 e = 2.71828182845904523536
0x7ffee4c3a9d0 0xdeadbeef 0x00007f8b1c2d3e4f
IPv6 2001:0db8:85a3:0000:0000:8a2e:0370:7334 MAC 00:1B:44:11:3A:B7
ISBN 978-3-16-148410-0 ISSN 2049-3630 DOI 10.1000/182
part number 123-456-78901, order 1234-5678-9012
lines 100-200 and 300-4000, pages 12-34-5678901
commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904 (HEAD -> main, origin/main)
Merge: 4b825dc 642cb6e
index 83db48f..bf2a1c9 100644
Successfully built 3f1c2a9d8e7b
Digest: sha256:9b2d7c3f1a5e8046b7c9d2e1f3a4b5c6d7e8f9a0b1c2d3e4f5a6b7c8d9e0f1a2
"""


def _generated(rng: random.Random) -> Iterator[str]:
    for n in range(12):
        digest = hashlib.sha256(str(n).encode()).hexdigest()
        sha512 = base64.b64encode(hashlib.sha512(str(n).encode()).digest()).decode()
        sha256 = base64.b64encode(hashlib.sha256(str(n).encode()).digest()).decode()
        png = base64.b64encode(b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + rng.randbytes(90)).decode()
        source_map = base64.b64encode(b'{"version":3,"file":"a.js"}').decode()
        yield f"{digest}  dist/memory_context-0.1.{n}-py3-none-any.whl"
        yield f'      "integrity": "sha512-{sha512}",'
        yield f'integrity="sha384-{sha512[:64]}" crossorigin="anonymous"'
        yield f"golang.org/x/crypto v0.{n}.0 h1:{sha256}"
        yield f"    --hash=sha256:{digest} \\"
        yield f'checksum = "{digest}"'
        yield f'<img src="data:image/png;base64,{png}" alt="logo" />'
        yield f"commit {digest[:40]}"
        yield f"{digest[:7]} fix: refresh the token before it expires (#{100 + n})"
        yield f'"id": "{uuid(rng)}", "session_id": "{uuid(rng)}",'
        yield f"image: registry.internal/api@sha256:{digest}"
        yield f'  resolved "https://registry.internal/x/-/x-1.{n}.0.tgz#{digest[:40]}"'
        yield f'ETag: "{digest[:32]}"'
        yield f"trace_id={chars(rng, 32, HEX)} span_id={chars(rng, 16, HEX)}"
        yield f"assets/index-{chars(rng, 8)}.js  142.{n} kB gzip: 46.1{n} kB"
        yield f"/nix/store/{chars(rng, 32, '0123456789abcdfghijklmnpqrsvwxyz')}-python3-3.11.{n}"
        yield f'const CHUNK_HASH = "{chars(rng, 20)}";'
        yield f"//# sourceMappingURL=data:application/json;base64,{source_map}"
        yield f"MD5 ({n}.tar.gz) = {chars(rng, 32, HEX)}"
        yield f"cache key: deps-{chars(rng, 64, HEX)}"
        yield f"msgid {chars(rng, 22, B64)}== attempt {n}"


def benign_lines(seed: int = 22) -> list[str]:
    """Returns the lines; none is a secret, whatever it looks like."""
    written = [line for block in (CODE, LOGS) for line in block.strip("\n").split("\n")]
    return written + list(_generated(random.Random(seed)))
