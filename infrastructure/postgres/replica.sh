#!/usr/bin/env bash
# Copies the primary the first time, then follows it. Begins as root, as PostgreSQL's own
# entrypoint does, to make the folder its user's.
set -euo pipefail
: "${POSTGRES_REPLICA_PASSWORD:?POSTGRES_REPLICA_PASSWORD must be set}"
PGDATA=${PGDATA:-/var/lib/postgresql/data}

as_postgres() {
  setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/tmp "$@"
}

chown postgres:postgres "$PGDATA" /var/run/postgresql
chmod 700 "$PGDATA"
password=/tmp/pgpass
(
  umask 077
  printf 'postgres:5432:*:memctx_replica:%s\n' "$POSTGRES_REPLICA_PASSWORD" >"$password"
)
chown postgres:postgres "$password"
unset POSTGRES_REPLICA_PASSWORD

if [[ ! -s $PGDATA/PG_VERSION ]]; then
  # What an interrupted copy left behind is no database.
  find "$PGDATA" -mindepth 1 -delete
  as_postgres env PGPASSFILE="$password" pg_basebackup --host=postgres --username=memctx_replica \
    --pgdata="$PGDATA" --wal-method=stream --checkpoint=fast --no-password
fi
touch "$PGDATA/standby.signal"
chown postgres:postgres "$PGDATA/standby.signal"
# max_connections must not be lower than the primary's.
exec setpriv --reuid=postgres --regid=postgres --init-groups env HOME=/tmp \
  postgres -D "$PGDATA" -c listen_addresses='*' -c max_connections=120 -c hot_standby=on \
  -c hba_file=/etc/memctx/pg_hba.conf \
  -c primary_conninfo="host=postgres user=memctx_replica passfile=$password application_name=replica"
