#!/bin/sh
# Starts PgBouncer with the hub's roles, whose passwords it needs to log in on both sides.
set -eu
: "${POSTGRES_APP_PASSWORD:?POSTGRES_APP_PASSWORD must be set}"
: "${POSTGRES_WORKER_PASSWORD:?POSTGRES_WORKER_PASSWORD must be set}"
umask 077
printf '"%s" "%s"\n' memctx_app "$POSTGRES_APP_PASSWORD" \
  memctx_worker "$POSTGRES_WORKER_PASSWORD" >/tmp/users.txt
unset POSTGRES_APP_PASSWORD POSTGRES_WORKER_PASSWORD
exec pgbouncer /etc/memctx/pgbouncer.ini
