#!/usr/bin/env bash
# Builds native/addon with node-gyp; quiet unless something is wrong. Configures again only when the recipe has changed.
# Runs in the environment of scripts/env.sh.
set -euo pipefail
cd "$(dirname "$0")/.."

addon=native/addon
if [ ! -e $addon/build/Makefile ] || [ $addon/binding.gyp -nt $addon/build/Makefile ]; then
  node-gyp configure -C $addon --loglevel=error
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! node-gyp build -C $addon --loglevel=error >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
