#!/usr/bin/env bash
# Installs memory-context in this clone and starts the hub on http://127.0.0.1:8080. Safe to run
# again: what is there already is kept. Works with the bash 3.2 of macOS.
set -euo pipefail

usage() {
  cat <<'END'
Usage: ./setup.sh [--docker] [--detach | --no-start] [--no-model | --model PATH]

Installs memory-context into .venv, writes .env with a new API key, installs the embedding
model and starts the hub. Nothing that is there already is overwritten.

  --docker      start a team's hub in containers instead: PostgreSQL, Chroma, Redis, API, worker
  --detach      start the hub in the background and return when it is ready
  --no-start    install only
  --no-model    leave out the embedding model: search is by words only until
                `memctx model install` has run
  --model PATH  take the model from a file or folder instead of fetching it
  --help        show this

Environment: MEMCTX_PORT (8080), PYTHON (the interpreter to use), MEMCTX_DATA_DIR.
END
}

say() { printf '%s\n' "$*" >&2; }

fail() {
  printf 'error: %s\n' "$1" >&2
  exit "${2:-1}"
}

readonly needed_mb=450
mode=here
start=foreground
model=install
model_path=
while [ $# -gt 0 ]; do
  case $1 in
    --docker) mode=docker ;;
    --detach) start=detach ;;
    --no-start) start=none ;;
    --no-model) model=none ;;
    --model)
      [ $# -gt 1 ] || fail '--model needs a PATH' 2
      model_path=$2
      case $model_path in /*) ;; *) model_path=$PWD/$model_path ;; esac
      [ -e "$model_path" ] || fail "there is no $model_path" 2
      shift
      ;;
    -h | --help)
      usage
      exit 0
      ;;
    *)
      usage >&2
      fail "unknown option $1" 2
      ;;
  esac
  shift
done

if [ "$mode,$model" = docker,none ]; then
  fail 'the images carry the model; --no-model is for a hub without containers' 2
fi

called_from=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")" || fail 'the folder of setup.sh cannot be entered'
here=$PWD
[ -f pyproject.toml ] || fail "$here is not a clone of memory-context: pyproject.toml is missing"
[ -w . ] || fail "$here is not writable"
# The environment wins over an .env that is there already.
port=${MEMCTX_PORT:-}
if [ -z "$port" ] && [ -r .env ]; then
  port=$(sed -n 's/^[[:space:]]*\(export \)\{0,1\}MEMCTX_PORT=["'\'']\{0,1\}\([0-9]*\).*/\2/p' .env | tail -n 1)
fi
port=${port:-8080}
case $port in
  *[!0-9]* | ??????*) fail "MEMCTX_PORT=$port is not a port number" 2 ;;
esac
if [ "$port" -lt 1 ] || [ "$port" -gt 65535 ]; then
  fail "MEMCTX_PORT=$port is not between 1 and 65535" 2
fi

# The newest interpreter that really runs (a version manager's shim may not) and is new enough.
new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
find_python() {
  local candidate
  for candidate in ${PYTHON:+"$PYTHON"} python3.14 python3.13 python3.12 python3.11 python3 python; do
    if "$candidate" -c "$new_enough" 2>/dev/null; then
      printf '%s\n' "$candidate"
      return
    fi
    [ -n "${PYTHON:-}" ] && [ "$candidate" = "$PYTHON" ] &&
      fail "PYTHON=$PYTHON does not run, or is older than Python 3.11"
  done
  if command -v python3 >/dev/null; then
    fail "Python 3.11 or newer is needed; $(command -v python3) is $(python3 -V 2>&1). Install one (Debian: apt install python3.11 python3.11-venv, macOS: brew install python) or name it with PYTHON=/path/to/python3"
  fi
  fail 'Python 3.11 or newer is needed and none was found. Install it (Debian: apt install python3 python3-venv, macOS: brew install python) or name it with PYTHON=/path/to/python3'
}

background=
trap '[ -z "$background" ] || kill "$background" 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs a long command with its output in a log and a counter of seconds on a terminal.
quietly() {
  local title=$1 log=$2 seconds=0
  shift 2
  say "$title ..."
  "$@" >"$log" 2>&1 &
  background=$!
  while kill -0 "$background" 2>/dev/null; do
    sleep 1
    seconds=$((seconds + 1))
    if [ -t 2 ]; then printf '\r%s ... %d s ' "$title" "$seconds" >&2; fi
  done
  if [ -t 2 ]; then printf '\r\033[K' >&2; fi
  local status=0
  wait "$background" || status=$?
  background=
  [ "$status" -eq 0 ] && return
  tail -n 15 "$log" >&2
  if grep -qi 'no space left' "$log"; then
    fail "$title failed: the disk is full; make room and run ./setup.sh again"
  elif grep -qiE 'connection|resolve|timed out|network|proxy|unreachable' "$log"; then
    fail "$title failed: ${unreachable:-the package index cannot be reached; check the network (or PIP_INDEX_URL, HTTPS_PROXY) and run ./setup.sh again}"
  fi
  fail "$title failed; all of its output is in $log"
}

# Says in words what would otherwise be a traceback of the installer in the middle of its work.
check_room() {
  [ ! -f .venv/.installed-server ] || return 0
  local free
  free=$(df -Pk . | awk 'NR == 2 { print int($4 / 1024) }')
  if [ -n "$free" ] && [ "$free" -lt "$needed_mb" ]; then
    fail "not enough disk space in $here: $free MB are free, about $needed_mb MB are needed"
  fi
}

make_venv() {
  if [ -x .venv/bin/python ] && .venv/bin/python -c "$new_enough" 2>/dev/null &&
    .venv/bin/python -m pip --version >/dev/null 2>&1; then
    return
  fi
  local python
  python=$(find_python)
  "$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "$python cannot make virtual environments: the venv module is missing (Debian: apt install python3-venv)"
  say "making .venv with $("$python" -V)"
  "$python" -m venv --clear .venv >&2 || fail 'making .venv failed'
}

# install_packages NAME REQUIREMENT
install_packages() {
  local stamp=.venv/.installed-$1 wanted
  wanted=$(cksum <pyproject.toml)
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x .venv/bin/memctx ]; then
    return
  fi
  rm -f "$stamp"
  quietly 'installing packages' .venv/install.log \
    .venv/bin/python -m pip install --no-input --disable-pip-version-check --progress-bar off \
    --editable "$2"
  printf '%s\n' "$wanted" >"$stamp"
}

# Never overwrites: a second writer finds the file there and leaves it.
write_env() {
  if [ -e .env ]; then
    grep -qE '^[[:space:]]*(export[[:space:]]+)?MEMCTX_API_KEY(_FILE)?[[:space:]]*=[[:space:]]*[^[:space:]]' .env ||
      [ -n "${MEMCTX_API_KEY:-}${MEMCTX_API_KEY_FILE:-}" ] ||
      fail '.env holds no MEMCTX_API_KEY; add one of the form mctx_<12 hex>_<43 characters>, or move .env away and run ./setup.sh again'
    return
  fi
  .venv/bin/python - "$port" <<'END' || fail '.env could not be written'
import os
import secrets
import sys

key = f"mctx_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}"
text = f"""# Settings of the hub and of memctx in this clone (docs/settings.md). Keep it private.
MEMCTX_API_KEY={key}
MEMCTX_PORT={sys.argv[1]}
MEMCTX_URL=http://127.0.0.1:{sys.argv[1]}
"""
try:
    descriptor = os.open(".env", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
except FileExistsError:
    sys.exit()
try:
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
except OSError as error:
    os.unlink(".env")
    sys.exit(f"error: {error}")
END
  say 'wrote .env with a new API key'
}

install_model() {
  case $model,${MEMCTX_EMBEDDING_PROVIDER:-onnx} in
    install,onnx) ;;
    *) return 0 ;;
  esac
  if [ -n "$model_path" ]; then
    .venv/bin/memctx model install --from "$model_path" >/dev/null && return
  else
    .venv/bin/memctx model install >/dev/null && return
  fi
  fail 'the embedding model is not installed; give it with --model PATH, or go on without it: ./setup.sh --no-model'
}

next_steps() {
  local memctx=.venv/bin/memctx
  [ "$called_from" = "$here" ] || memctx=$(printf '%q' "$here/.venv/bin/memctx")
  local address=
  [ -z "${MEMCTX_PORT:-}" ] || address="  (first: export MEMCTX_URL=http://127.0.0.1:$port)"
  grep -qs "^MEMCTX_URL=http://127.0.0.1:$port\$" .env && address=
  cat <<END

Next:$address
  $memctx import                                      # the sessions of Claude Code and Codex
  $memctx search "why did we change the parser?"
  $memctx doctor                                      # checks everything
END
}

if [ "$mode" = docker ]; then
  # shellcheck source=infrastructure/docker/setup.sh
  . infrastructure/docker/setup.sh
  setup_docker
  exit 0
fi
check_room
make_venv
install_packages server '.[server]'
write_env
install_model
if .venv/bin/memctx --url "http://127.0.0.1:$port" --quiet status >/dev/null 2>&1; then
  say "the hub runs already at http://127.0.0.1:$port"
  next_steps
  exit 0
fi
.venv/bin/memctx --quiet migrate || fail 'the database could not be made ready'
case $start in
  none)
    say 'installed; start the hub with: ./setup.sh --detach, or .venv/bin/memctx serve'
    next_steps
    ;;
  detach)
    .venv/bin/memctx serve --detach --port "$port" >/dev/null || exit 1
    next_steps
    ;;
  foreground)
    next_steps >&2
    say ''
    exec .venv/bin/memctx serve --port "$port"
    ;;
esac
