"""The variables of `docker-compose.yml` that are no settings of the hub."""

from __future__ import annotations

from typing import NamedTuple


class Variable(NamedTuple):
    """A variable of the compose file: its default, where it has one, and what it is for."""

    name: str
    default: str
    description: str


VARIABLES = (
    Variable("POSTGRES_PASSWORD", "", "PostgreSQL's superuser, used inside its container only."),
    Variable("POSTGRES_OWNER_PASSWORD", "", "memctx_owner: owns the tables and migrates them."),
    Variable("POSTGRES_APP_PASSWORD", "", "memctx_app: the API, under row-level security."),
    Variable("POSTGRES_WORKER_PASSWORD", "", "memctx_worker: indexes, and reads no API key."),
    Variable(
        "POSTGRES_AUDITOR_PASSWORD", "", "memctx_auditor: reads the audit log; empty: no such role."
    ),
    Variable("REDIS_PASSWORD", "", "memctx: Redis' only user."),
    Variable(
        "POSTGRES_REPLICA_PASSWORD", "", "memctx_replica, with docker-compose.replica.yml only."
    ),
    Variable(
        "HUB_BIND", "127.0.0.1", "Address of this machine on which the API's port is published."
    ),
    Variable("HUB_CPUS", "1", "Processors that one container may use; no more than there are."),
    Variable("HUB_IMAGE_TAG", "local", "Tag of the images that are built and run."),
    Variable("PYTHON_IMAGE", "python:3.11-slim-bookworm", "Image that the hub's are built on."),
    Variable("POSTGRES_IMAGE", "postgres:15-bookworm", "Image of PostgreSQL."),
    Variable("REDIS_IMAGE", "redis:7-bookworm", "Image of Redis."),
    Variable("CHROMA_IMAGE", "chromadb/chroma:1.5.9", "Image of Chroma, no older than 1.5.9."),
    Variable("DEBIAN_IMAGE", "debian:bookworm-slim", "Image of PgBouncer and TLS."),
    Variable(
        "TLS_FOLDER", "./infrastructure/tls/certificates", "Holds fullchain.pem, privkey.pem."
    ),
    Variable("TLS_BIND", "0.0.0.0", "Address on which docker-compose.tls.yml listens."),  # noqa: S104
    Variable("TLS_PORT", "443", "Port on which docker-compose.tls.yml listens."),
    Variable("PIP_INDEX_URL", "", "Package index for the build, if not the usual one."),
    Variable("PIP_EXTRA_INDEX_URL", "", "A second package index for the build."),
)


def environment_example() -> str:
    """Returns the part of `.env.example` that is about the containers."""
    lines = [
        "",
        "# The containers of docker-compose.yml; `./setup.sh --docker` makes the passwords.",
    ]
    for one in VARIABLES:
        lines += ["", f"# {one.description}", f"# {one.name}={one.default}"]
    return "\n".join(lines) + "\n"
