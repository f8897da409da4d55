# Tells node-gyp where the headers of the node in use lie (beside its binary, or Debian's), so that it downloads none. Sourced.
# shellcheck shell=bash
if [ -z "${npm_config_nodedir:-}" ]; then
  node_root=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
  if [ -e "$node_root/include/node/node_api.h" ]; then
    export npm_config_nodedir=$node_root
  fi
fi
