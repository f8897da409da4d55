#!/usr/bin/env bash
# Prints the folder to put first on PATH: that of the private node which scripts/node-install.sh made, if the system's is
# missing or too old; an empty answer means that the system's will do. Exits 1 when there is no usable node.
set -euo pipefail

node_usable() {
  "$1" -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit((major === 20 && minor >= 19) || major >= 22 ? 0 : 1)' 2>/dev/null
}

private=${XDG_CACHE_HOME:-$HOME/.cache}/trmig/node/bin
if system=$(command -v node) && node_usable "$system"; then
  exit 0
elif [ -x "$private/node" ] && node_usable "$private/node"; then
  printf '%s\n' "$private"
else
  exit 1
fi
