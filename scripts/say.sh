# How the setup scripts speak and install. Sourced.
# shellcheck shell=bash

say() { printf 'trmig: %s\n' "$*" >&2; }

# fail WHAT HINT: one clear sentence, what mends it, and the end.
fail() {
  printf 'trmig: %s\n       %s\n' "$1" "$2" >&2
  exit 1
}

# Installs Debian packages as root or through sudo. apt-get update runs only here, when something is really missing.
apt_install() {
  local -a as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "Missing Debian packages: $*" "Install them as root: apt-get install $*"
    as_root=(sudo)
  fi
  command -v apt-get >/dev/null || fail "Missing: $*" "Install these (named as Debian does) with your system's package manager."
  say "installing $*"
  "${as_root[@]}" apt-get -qq update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "$@" </dev/null >/dev/null
}
