#!/bin/sh
# Starts Redis with one user, whose password comes from the environment and reaches neither the
# arguments of a process nor a file in plain: the ACL holds its SHA-256.
set -eu
: "${REDIS_PASSWORD:?REDIS_PASSWORD must be set}"
umask 077
digest=$(printf '%s' "$REDIS_PASSWORD" | sha256sum | cut -d ' ' -f 1)
unset REDIS_PASSWORD
# The commands of context_api.adapters.cache, no others, on keys that begin with memctx: only.
cat >/tmp/users.acl <<END
user default off resetpass resetkeys resetchannels -@all
user memctx on #$digest ~memctx:* resetchannels -@all +get +set +incrby +decrby +expire +select +ping
END
exec redis-server /etc/memctx/redis.conf --aclfile /tmp/users.acl
