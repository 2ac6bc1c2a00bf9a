"""Conventions of the code base that no linter knows, each shown to bite on a planted sample."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = {
    "memory_core": ROOT / "core/src",
    "context_api": ROOT / "context-api/src",
    "sync_agent": ROOT / "sync-agent/src",
    "memctx": ROOT / "cli/src",
    "context_migration": ROOT / "migration/src",
}

# Where the name of a database may stand, and why.
DIALECT_HOMES = {
    "context_api/adapters/sql/dialect.py": "the one door to the differences",
    "context_api/adapters/sql/dialects/": "the differences, a file each",
    "context_api/adapters/index/": "the index that lies in PostgreSQL",
    "context_api/adapters/sql/libpq.py": "the form of URL that one of them reads",
    "context_api/adapters/sql/types.py": "a portable column type names its variants",
    "context_api/bootstrap/": "chooses the adapters",
    "context_api/settings/": "holds the default URL",
    "context_migration/": "its DDL is written per dialect",
}

# Who may read the environment, and why.
ENVIRONMENT_READERS = {
    "context_api/__init__.py": "the threads of numpy, which must be set before it is loaded",
    "context_api/settings/": "the hub's settings",
    "context_api/main.py": "the variables of OpenTelemetry, which are not ours",
    "sync_agent/__init__.py": "the threads of numpy, which must be set before it is loaded",
    "sync_agent/replica/failpoints.py": "where a test lets the process die",
    "sync_agent/config.py": "where a client finds the hub and its key",
    "context_migration/__main__.py": "which database to migrate, where nothing else runs",
}

TLS_HOME = "memory_core/tls.py"
CONTEXT_MAKERS = {"create_default_context", "SSLContext"}

# What a light installation does not have or must not wait for.
HUB_ONLY = {
    "aiosqlite", "alembic", "chromadb", "fastapi", "redis", "sqlalchemy", "starlette", "uvicorn",
}  # fmt: skip
MODEL_ONLY = {"onnxruntime", "sentence_transformers", "tokenizers", "torch", "transformers"}
SLOW = {"httpx", "rich"}

FILE_LINES_P90 = 300
FUNCTION_LINES_P90 = 40
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 100

FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)
DATABASE = re.compile(r"(sqlite|postgres|postgresql)(\+\w+)?(:.*)?", re.DOTALL)


def files(package: str) -> Iterator[tuple[str, str]]:
    """Yields ``(path below src, text)`` of each module."""
    source = SOURCES[package]
    for path in sorted((source / package).rglob("*.py")):
        yield path.relative_to(source).as_posix(), path.read_text()


def under(path: str, homes: dict[str, str]) -> bool:
    return any(path == home or (home.endswith("/") and path.startswith(home)) for home in homes)


def functions(tree: ast.AST) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, FUNCTION)]


def called(node: ast.AST) -> str:
    """Returns the last name of what a call calls, else an empty text."""
    if not isinstance(node, ast.Call):
        return ""
    target = node.func
    return getattr(target, "attr", getattr(target, "id", ""))


def commits(path: str, tree: ast.Module) -> list[int]:
    """Lines that end a transaction outside the use cases.

    An adapter's own ``commit`` method may call the driver's: there it is defined, not decided.
    """
    if not path.startswith("context_api/") or path.startswith("context_api/application/"):
        return []
    defined = {
        id(node)
        for function in functions(tree)
        if function.name == "commit" and path.startswith("context_api/adapters/")
        for node in ast.walk(function)
    }
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "commit"
        and id(node) not in defined
    ]


def names_a_database(node: ast.AST) -> bool:
    match node:
        case ast.Constant(value=str(text)):
            return DATABASE.fullmatch(text) is not None
        case ast.Attribute(
            attr="name", value=ast.Attribute(attr="dialect") | ast.Name(id="dialect")
        ):
            return True
        case ast.Attribute(attr="SQLITE" | "POSTGRESQL"):
            return True
        case ast.ImportFrom(module=str(module)):
            return module.startswith("sqlalchemy.dialects")
    return False


def dialects(path: str, tree: ast.Module) -> list[int]:
    """Lines that ask which database runs, or name one, outside the places that may."""
    if under(path, DIALECT_HOMES):
        return []
    return [node.lineno for node in ast.walk(tree) if names_a_database(node)]


def yielding_dependencies(path: str, tree: ast.Module) -> list[int]:
    """Lines of ``Depends`` on a generator of the same module.

    FastAPI runs what follows the ``yield`` after the response has left, so a transaction
    that ends there is acknowledged before it is durable.
    """
    if not path.startswith("context_api/http/"):
        return []
    generators = {
        function.name
        for function in functions(tree)
        if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in ast.walk(function))
    }
    return [
        node.lineno
        for node in ast.walk(tree)
        if called(node) in {"Depends", "Security"}
        and any(
            getattr(value, "id", getattr(value, "attr", "")) in generators
            for value in [*node.args, *(keyword.value for keyword in node.keywords)]
        )
    ]


def is_environment(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in {"environ", "environb"}


def handed_on(tree: ast.Module) -> set[int]:
    """Ids of the nodes that pass the whole environment to a child process."""
    found: list[ast.expr] = []
    for node in ast.walk(tree):
        match node:
            case ast.Dict(keys=keys, values=values):
                found += [value for key, value in zip(keys, values, strict=True) if key is None]
            case ast.BinOp(op=ast.BitOr(), left=left, right=right):
                found += [left, right]
            case ast.keyword(arg="env", value=value):
                found.append(value)
    return {id(node) for node in found}


def environment(path: str, tree: ast.Module) -> list[int]:
    """Lines that look something up in the environment outside the settings."""
    if under(path, ENVIRONMENT_READERS):
        return []
    allowed = handed_on(tree)
    return [
        node.lineno
        for node in ast.walk(tree)
        if (is_environment(node) and id(node) not in allowed)
        or (isinstance(node, ast.Attribute) and node.attr == "getenv")
        or (
            isinstance(node, ast.ImportFrom)
            and any(name.name in {"environ", "getenv"} for name in node.names)
        )
    ]


def lax_tls(path: str, tree: ast.Module) -> list[int]:
    """Lines that make a TLS client which does not know whom it speaks to.

    A context is made in one place, so that its least version and its checks are the same for all.
    """
    return [
        node.lineno
        for node in ast.walk(tree)
        if switches_checks_off(node) or (path != TLS_HOME and called(node) in CONTEXT_MAKERS)
    ]


def switches_checks_off(node: ast.AST) -> bool:
    match node:
        case ast.keyword(arg="verify" | "check_hostname" | "ssl_check_hostname", value=value):
            return is_false(value)
        case ast.keyword(arg="ssl_cert_reqs" | "cert_reqs", value=value):
            return not (isinstance(value, ast.Constant) and value.value == "required")
        case ast.Assign(targets=[ast.Attribute(attr="check_hostname")], value=value):
            return is_false(value)
        case ast.Attribute(attr="CERT_NONE" | "CERT_OPTIONAL" | "_create_unverified_context"):
            return True
        case ast.Attribute(attr="disable_warnings"):
            return True
    return False


def is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and not value.value


RULES = [commits, dialects, yielding_dependencies, environment, lax_tls]

PLANTED = [
    (commits, "context_api/http/routes.py", "async def f(tx):\n    await tx.commit()"),
    (commits, "context_api/adapters/sql/log.py", "def append(c):\n    c.commit()"),
    (dialects, "context_api/adapters/sql/log.py", "if bind.dialect.name: pass"),
    (dialects, "context_api/application/save.py", "mode = 'sqlite'"),
    (dialects, "context_api/adapters/sql/log.py", "from sqlalchemy.dialects.sqlite import insert"),
    (dialects, "context_api/adapters/sql/log.py", "if self._dialect is Dialect.SQLITE: pass"),
    (dialects, "memctx/serve.py", "url = 'postgresql+asyncpg://localhost/x'"),
    (
        yielding_dependencies,
        "context_api/http/routes.py",
        "async def tx():\n    yield 1\ndef get(t=Depends(tx)): pass",
    ),
    (environment, "memory_core/recall.py", "import os\nos.environ['MEMCTX_MODEL']"),
    (environment, "memory_core/recall.py", "import os\nos.environ.get('MEMCTX_MODEL')"),
    (environment, "memory_core/recall.py", "import os\n'MEMCTX_MODEL' in os.environ"),
    (environment, "memory_core/recall.py", "import os\nsource = os.environ"),
    (environment, "sync_agent/client.py", "from os import getenv"),
    (lax_tls, "memctx/run.py", "httpx.Client(verify=False)"),
    (lax_tls, "memory_core/tls.py", "context.check_hostname = False"),
    (lax_tls, "memory_core/tls.py", "context.verify_mode = ssl.CERT_NONE"),
    (lax_tls, "memory_core/tls.py", "ssl._create_unverified_context()"),
    (lax_tls, "sync_agent/connection.py", "ssl.create_default_context()"),
    (lax_tls, "context_api/adapters/cache/redis_link.py", "Redis.from_url(u, ssl_cert_reqs=None)"),
    (lax_tls, "context_api/adapters/probing.py", "ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)"),
]

ALLOWED = [
    (commits, "context_api/application/save.py", "async def f(tx):\n    await tx.commit()"),
    (commits, "context_api/adapters/sql/unit.py", "async def commit(self):\n    await c.commit()"),
    (dialects, "context_api/adapters/sql/dialect.py", "if bind.dialect.name == 'sqlite': pass"),
    (dialects, "context_api/adapters/sql/log.py", "upsert(engines.dialect, table)"),
    (dialects, "memory_core/index.py", "sql = 'SELECT name FROM sqlite_master'"),
    (
        yielding_dependencies,
        "context_api/http/stream.py",
        "async def events():\n    yield 1\ndef get(t=Depends(key)): return events()",
    ),
    (environment, "memctx/edit.py", "import os\nrun(env={**os.environ, 'A': 'b'})"),
    (environment, "context_api/settings/sources.py", "import os\nos.environ.get('MEMCTX_PORT')"),
    (lax_tls, "memory_core/tls.py", "ssl.create_default_context()"),
    (lax_tls, "memctx/run.py", "httpx.Client(verify=client_context(ca))"),
]

Rule = Callable[[str, ast.Module], list[int]]


@pytest.mark.parametrize("package", SOURCES)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_convention_holds(rule: Rule, package: str) -> None:
    found = [
        f"{path}:{line}" for path, text in files(package) for line in rule(path, ast.parse(text))
    ]
    assert found == []


@pytest.mark.parametrize(("rule", "path", "text"), PLANTED)
def test_convention_bites(rule: Rule, path: str, text: str) -> None:
    assert rule(path, ast.parse(text)) != []


@pytest.mark.parametrize(("rule", "path", "text"), ALLOWED)
def test_convention_lets_the_right_place_pass(rule: Rule, path: str, text: str) -> None:
    assert rule(path, ast.parse(text)) == []


def test_a_vector_server_is_never_told_to_load_code() -> None:
    """Chroma can be asked to make vectors itself, by a name that the server then imports."""
    files_with = [path for path, text in files("context_api") if "embedding_function" in text]
    assert files_with == []


def ninetieth(values: list[int]) -> float:
    return statistics.quantiles(values, n=10, method="inclusive")[-1] if len(values) > 1 else 0


@pytest.mark.parametrize("package", SOURCES)
def test_files_and_functions_stay_small(package: str) -> None:
    # A revision is a record of what was done to a schema; it is never worked on again.
    texts = {path: text for path, text in files(package) if "/versions/v" not in path}
    file_lines = {path: len(text.splitlines()) for path, text in texts.items()}
    function_lines = {
        f"{path}:{function.lineno} {function.name}": function.end_lineno - function.lineno + 1
        for path, text in texts.items()
        for function in functions(ast.parse(text))
        if function.end_lineno is not None
    }
    assert ninetieth(list(file_lines.values())) <= FILE_LINES_P90
    assert ninetieth(list(function_lines.values())) <= FUNCTION_LINES_P90
    assert {name: n for name, n in file_lines.items() if n > FILE_LINES_MAX} == {}
    assert {name: n for name, n in function_lines.items() if n > FUNCTION_LINES_MAX} == {}


def modules(package: str) -> list[str]:
    names = (path.removesuffix(".py").removesuffix("/__init__") for path, _ in files(package))
    return [name.replace("/", ".") for name in names]


@pytest.mark.parametrize(
    ("package", "unwanted"),
    [
        ("memory_core", HUB_ONLY | MODEL_ONLY | SLOW),
        ("sync_agent", HUB_ONLY | MODEL_ONLY),
        ("memctx", HUB_ONLY | MODEL_ONLY),
    ],
)
def test_importing_stays_light(package: str, unwanted: set[str]) -> None:
    """Importing every module but the door to the hub loads nothing a light installation lacks."""
    names = [name for name in modules(package) if not name.startswith("memctx.embedded")]
    script = (
        f"import sys, {', '.join(names)}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60
    )
    assert run.returncode == 0, run.stderr
    assert set(run.stdout.split()) & unwanted == set()
