# shellcheck shell=bash
# What `./setup.sh --docker` does; read by it, not started by itself. The shell is in the root of
# the clone, has `set -euo pipefail`, and the functions say, fail and quietly of setup.sh.

# Set by setup.sh.
: "${here:?}" "${port:?}" "${called_from:?}" "${start:?}"

readonly healthy_within=240
compose=()

check_docker() {
  local said
  command -v docker >/dev/null ||
    fail 'docker was not found; install Docker Engine or Docker Desktop (Debian: apt install docker.io docker-compose)'
  if ! said=$(docker info --format '{{.NCPU}}' 2>&1); then
    case $said in
      *'permission denied'*) fail "docker does not let $(id -un) in: add yourself to the group docker (sudo usermod -aG docker $(id -un), then log in again), or run this with sudo" ;;
      *) fail "the Docker engine does not answer; start it (systemctl start docker, or Docker Desktop): $(printf '%s\n' "$said" | tail -n 1)" ;;
    esac
  fi
  cpus=$said
  if docker compose version >/dev/null 2>&1; then
    compose=(docker compose)
  elif command -v docker-compose >/dev/null; then
    compose=(docker-compose)
    case $(docker-compose version --short 2>/dev/null) in
      0.* | 1.[0-9].* | 1.1[0-9].* | 1.2[0-8].*) fail 'docker-compose is older than 1.29; install a newer one, or the plugin docker-compose-plugin' ;;
    esac
  else
    fail 'neither the plugin of docker for compose nor docker-compose was found (Debian: apt install docker-compose)'
  fi
}

# Prints a value of .env, the last one as every reader of it takes it.
env_value() {
  [ -r .env ] || return 0
  sed -n "s/^[[:space:]]*\(export[[:space:]]\{1,\}\)\{0,1\}$1[[:space:]]*=[[:space:]]*[\"']\{0,1\}\([^\"'#[:space:]]*\).*/\2/p" .env | tail -n 1
}

# Prints the files that Compose reads; the environment wins over .env.
compose_files() {
  printf '%s\n' "${COMPOSE_FILE:-$(env_value COMPOSE_FILE)}"
}

random_hex() {
  od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'
}

random_key() {
  printf 'mctx_%s_%s' "$(random_hex 6)" \
    "$(head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n')"
}

# Makes .env, or appends the names it lacks. What is there is never changed.
write_docker_env() {
  local added='' name value given replica=
  case $(compose_files) in *replica*) replica=POSTGRES_REPLICA_PASSWORD ;; esac
  for name in MEMCTX_API_KEY POSTGRES_PASSWORD POSTGRES_OWNER_PASSWORD POSTGRES_APP_PASSWORD \
    POSTGRES_WORKER_PASSWORD REDIS_PASSWORD MEMCTX_CACHE_SECRET MEMCTX_PORT MEMCTX_URL HUB_CPUS $replica; do
    given=$(env_value "$name")
    if [ -n "$given" ]; then
      check_secret "$name" "$given"
      continue
    fi
    case $name in
      MEMCTX_API_KEY) value=$(random_key) ;;
      MEMCTX_PORT) value=$port ;;
      MEMCTX_URL) value=http://127.0.0.1:$port ;;
      # Docker refuses a limit of more processors than there are.
      HUB_CPUS) value=$cpus ;;
      *) value=$(random_hex 24) ;;
    esac
    added=$added$name=$value$'\n'
  done
  [ -n "$added" ] || return 0
  if [ ! -e .env ]; then
    added="# Settings of the hub, its containers and of memctx in this clone (docs/deployment.md).
# Keep it private: who reads it can read and change everything the hub remembers.
$added"
  elif [ -n "$(tail -c 1 .env)" ]; then
    added=$'\n'$added
  fi
  (
    umask 077
    printf '%s' "$added" >>.env
  ) || fail '.env could not be written'
  chmod 600 .env
  say 'wrote .env: new secrets, readable by you only'
}

# Secrets stand in URLs and must not be what everybody knows.
check_secret() {
  case $1 in *PASSWORD | *SECRET) ;; *) return 0 ;; esac
  case $2 in
    *[!A-Za-z0-9_.~-]*) fail "$1 in .env may hold letters, digits and _ . ~ - only: it becomes part of an address" 2 ;;
    *changeme* | *password* | *secret*) fail "$1 in .env is a value that everybody knows; remove the line and run ./setup.sh --docker again" 2 ;;
  esac
  [ ${#2} -ge 16 ] || fail "$1 in .env is shorter than 16 characters; remove the line and run ./setup.sh --docker again" 2
}

# Prints a container's health where it has a health check, else its state; nothing without one.
state_of() {
  local id
  id=$("${compose[@]}" ps -a -q "$1" 2>/dev/null | head -n 1)
  [ -n "$id" ] || return 0
  docker inspect --format '{{if .State.Restarting}}restarting{{else if eq .State.Status "running"}}{{if .State.Health}}{{.State.Health.Status}}{{else}}running{{end}}{{else}}{{.State.Status}}{{end}}' "$id"
}

# Ends with the last lines of a service's log, which say what the state does not.
fail_with_log() {
  say "the last lines of $1:"
  "${compose[@]}" logs --no-color --tail 25 "$1" >&2 || true
  fail "$2"
}

wait_healthy() {
  local service state end=$((SECONDS + healthy_within)) bad=0
  for service in "$@"; do
    while :; do
      state=$(state_of "$service")
      case $state in
        healthy) break ;;
        # One that restarts once may have come before what it needs; one that goes on will not stop.
        restarting | exited | dead) bad=$((bad + 1)) ;;
        *) ;;
      esac
      [ "$bad" -lt 30 ] || fail_with_log "$service" "$service does not stay up"
      [ $SECONDS -lt $end ] ||
        fail_with_log "$service" "$service is not healthy after $healthy_within s (${state:-no container})"
      sleep 1
    done
    bad=0
  done
}

# The port may be held by the hub of this clone's own containers only.
check_port() {
  [ "$(state_of api)" = healthy ] && return
  [ "$(state_of api)" = starting ] && return
  if (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
    fail "something listens on port $port already: stop it (.venv/bin/memctx stop, if it is the hub of this clone), or set MEMCTX_PORT in .env"
  fi
}

run_compose() {
  local title=$1
  shift
  unreachable='the registry or the package index cannot be reached; check the network (or PIP_INDEX_URL, HTTPS_PROXY) and run ./setup.sh --docker again' \
    quietly "$title" "$log" "${compose[@]}" "$@"
}

# Beside containers a light memctx is enough: it asks the hub.
install_client() {
  if [ -x .venv/bin/memctx ] || ! (find_python >/dev/null 2>&1); then return; fi
  make_venv
  install_packages client .
}

docker_next_steps() {
  local memctx=.venv/bin/memctx
  [ "$called_from" = "$here" ] || memctx=$(printf '%q' "$here/.venv/bin/memctx")
  if [ ! -x .venv/bin/memctx ]; then
    say 'memctx itself needs Python 3.11 on this machine; until then it runs in the container:'
    memctx="${compose[*]} exec api memctx"
  fi
  cat <<END

The hub runs at http://127.0.0.1:$port, its key is in .env. Next:
  $memctx import                                      # the sessions of Claude Code and Codex
  $memctx search "why did we change the parser?"
  $memctx doctor                                      # checks everything
END
}

setup_docker() {
  local log services
  check_docker
  write_docker_env
  # migrate comes and goes, in the image of the API.
  services=$("${compose[@]}" config --services | grep -vx migrate) ||
    fail 'the compose files cannot be used; docker-compose config says why'
  if [ -n "$model_path" ]; then
    mkdir -p .memctx-data/models/given
    chmod 700 .memctx-data
    cp -R "$model_path" .memctx-data/models/given/ || fail "the model cannot be copied from $model_path"
  fi
  log=$(mktemp "${TMPDIR:-/tmp}/memctx-docker.XXXXXX")
  # shellcheck disable=SC2086 # words
  run_compose 'building the images (minutes the first time)' build $services
  if [ "$start" = none ]; then
    rm -f "$log"
    say 'built; start it with: ./setup.sh --docker'
    return
  fi
  check_port
  run_compose 'starting the database' up -d postgres
  wait_healthy postgres
  run_compose 'setting the passwords of .env' exec -T postgres \
    psql -q -U postgres -d memctx -f /docker-entrypoint-initdb.d/10-roles.sql
  "${compose[@]}" up -d >"$log" 2>&1 || {
    tail -n 5 "$log" >&2
    [ "$(state_of migrate)" != exited ] || fail_with_log migrate 'the hub did not start: the schema was not brought up'
    fail "the containers did not start; all of the output is in $log"
  }
  say 'waiting until every service is healthy ...'
  # shellcheck disable=SC2086 # words
  wait_healthy $services
  rm -f "$log"
  install_client
  docker_next_steps
}
