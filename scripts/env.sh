# The environment in which everything is built and run: the right node first on PATH, and node-gyp told where that node's
# headers lie (beside its binary, or Debian's), so that it downloads none. Sourced, from the repository's root.
# shellcheck shell=bash

node_dir=$(scripts/node-path.sh || true)
PATH=$PWD/node_modules/.bin:${node_dir:+$node_dir:}$PATH
export PATH

if [ -z "${npm_config_nodedir:-}" ] && command -v node >/dev/null; then
  node_root=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
  if [ -e "$node_root/include/node/node_api.h" ]; then
    export npm_config_nodedir=$node_root
  fi
fi
