#!/bin/sh
# Starts PgBouncer with the hub's role, whose password it needs to log in on both sides.
set -eu
: "${POSTGRES_APP_PASSWORD:?POSTGRES_APP_PASSWORD must be set}"
umask 077
printf '"memctx_app" "%s"\n' "$POSTGRES_APP_PASSWORD" >/tmp/users.txt
unset POSTGRES_APP_PASSWORD
exec pgbouncer /etc/memctx/pgbouncer.ini
