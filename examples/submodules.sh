#!/usr/bin/env bash
# A master repository with three submodules, a hub, and an agent that keeps all four in step:
# the network is cut, work goes on in two submodules, the network comes back, and all agree.
#
#   examples/submodules.sh [FOLDER]
#
# Everything happens in FOLDER (a new temporary one by default) and is taken away at the end;
# nothing of yours is read or changed. Needs git, and `memctx` on the PATH.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
work=$(mkdir -p "${1:-/tmp}" && mktemp -d "${1:-/tmp}/memctx-example.XXXXXX")
python=$(command -v python3)

# A user of their own, so that your settings, keys and agent stay out of it.
for name in $(env | sed -n 's/^\(MEMCTX_[A-Z_]*\)=.*/\1/p'); do unset "$name"; done
export HOME="$work/home" XDG_CONFIG_HOME="$work/home/.config" XDG_DATA_HOME="$work/home/.data"
export XDG_STATE_HOME="$work/home/.state" XDG_RUNTIME_DIR="$work/home/run"
export MEMCTX_DATA_DIR="$work/hub" GIT_CONFIG_GLOBAL="$work/home/.gitconfig"
mkdir -p "$HOME" && mkdir -m 700 "$XDG_RUNTIME_DIR"
git config --global user.name Ada && git config --global user.email ada@example.org
git config --global protocol.file.allow always
git config --global init.defaultBranch main

free_port() { "$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
hub_port=$(free_port) cable_port=$(free_port) cable=
export MEMCTX_PORT=$hub_port

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
plug() { "$python" "$here/cable.py" "$cable_port" "$hub_port" & cable=$!; }
unplug() { kill "$cable" 2>/dev/null || true; wait "$cable" 2>/dev/null || true; cable=; }
finish() {
  (cd "$work" && memctx -q agent stop; memctx -q stop) >/dev/null 2>&1 || true
  [ -z "$cable" ] || unplug
  rm -rf "$work"
}
trap finish EXIT

# Reads one value of each project of the replica in a folder: value FOLDER NAME
value() { (cd "$1" && memctx --json sync status) | "$python" -c '
import json, sys
print(*(project[sys.argv[1]] for project in json.load(sys.stdin)["data"]["projects"]))' "$2"; }

# Waits until the replica in each folder has nothing left to push or pull.
settled() {
  for folder in "$@"; do
    for _ in $(seq 600); do
      [ "$(value "$folder" pending | tr -d ' 0')" = "" ] \
        && [ "$(value "$folder" behind | tr -d ' 0')" = "" ] && continue 2
      sleep 0.2
    done
    echo "the replica in $folder did not come level with its hub" >&2; exit 1
  done
}

say "A master repository with three submodules"
for name in api web docs; do
  git init -q "$work/origin/$name"
  (cd "$work/origin/$name" && git commit -q --allow-empty -m "Begin")
done
git init -q "$work/master" && cd "$work/master"
for name in api web docs; do git submodule -q add "$work/origin/$name" "$name"; done
git commit -qm "Three submodules"
repositories=("$work/master" "$work/master/api" "$work/master/web" "$work/master/docs")

say "A hub, and a cable to it"
# The hub begins with this key. On a client it belongs into the user's own file, by hub.
key=$("$python" -c 'import secrets; print(f"mctx_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}")')
mkdir -p "$XDG_CONFIG_HOME/memory-context"
(umask 077 && printf '[keys]\n"%s" = "%s"\n' "http://127.0.0.1:$cable_port" "$key" \
  > "$XDG_CONFIG_HOME/memory-context/config.toml")
MEMCTX_API_KEY=$key memctx serve --detach
plug

say "A replica in each repository, one agent for all of them"
for folder in "${repositories[@]}"; do
  cd "$folder"
  memctx init --slug "shop/$(basename "$folder")"
  memctx -q remote add "http://127.0.0.1:$cable_port"
  memctx checkpoints add "The memory of $(basename "$folder") begins here."
done
memctx agent start
settled "${repositories[@]}"
memctx agent status

say "The network is cut; work goes on in api and web"
unplug
cd "$work/master/api"
memctx patterns add --type decision "Retries use full jitter" \
  --description "Fixed pauses made all clients return at once after an outage."
memctx search "how do we retry after an outage?"
cd "$work/master/web"
memctx sessions add --title "The cart forgets its items" \
  --message "user: the cart is empty after a reload" \
  --message "assistant: the key in the local storage had lost its version; fixed"
memctx search "why was the cart empty?"
for name in api web; do echo "$name: $(value "$work/master/$name" pending) operations wait"; done

say "The network is back"
plug
settled "${repositories[@]}"

say "All four agree with the hub"
for folder in "${repositories[@]}"; do
  cd "$folder"
  memctx sync verify
  echo "$(basename "$folder"): position $(value "$folder" cursor)"
done
memctx --hub search "retry after an outage"
