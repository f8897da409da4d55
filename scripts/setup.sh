#!/usr/bin/env bash
# Makes a fresh Debian 12 or 13 ready to build and test trmig: what is missing is installed, what is there is left alone, so
# that it can run before every build (under two seconds when nothing is missing). Works as root or with sudo.
#
#   scripts/setup.sh            tools, node, QEMU 10.0, node_modules
#
# Downloads and unpacked tools live in ${XDG_CACHE_HOME:-~/.cache}/trmig, shared by all clones.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/say.sh

# --- tools that Debian packages ---
missing=()
need() { # need PACKAGE TEST...: the package is wanted unless the test succeeds
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}
has() { command -v "$1"; }
has_libfuzzer() { test -e "$(clang --print-file-name="libclang_rt.fuzzer_no_main-$(uname -m).a")"; }
need gcc has gcc
need g++ has g++
need libc6-dev test -e /usr/include/stdlib.h
need make has make
need pkg-config has pkg-config
need libglib2.0-dev pkg-config --exists glib-2.0
need libxxhash-dev test -e /usr/include/xxhash.h
need libzstd-dev test -e /usr/include/zstd.h
need python3 has python3
need cpio has cpio
need iproute2 has tc
need openssl has openssl
need e2fsprogs test -x /sbin/mkfs.ext4
# For the other architecture's guest. Its C library's headers and libraries lie beside the host's own.
case $(uname -m) in
x86_64) cross=aarch64 cross_arch=arm64 ;;
aarch64) cross=x86_64 cross_arch=amd64 ;;
esac
if [ -n "${cross:-}" ]; then
  need "gcc-${cross/_/-}-linux-gnu" has "$cross-linux-gnu-gcc"
  need "libc6-dev-$cross_arch-cross" test -e "/usr/${cross/_/-}-linux-gnu/lib/libc.a"
fi
# For the fuzz targets: the compiler that instruments, and libFuzzer with the sanitizers, in Debian's current version.
need clang has clang
need libclang-rt-dev has_libfuzzer
need gzip has gzip
need ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
need git has git
[ "${#missing[@]}" -eq 0 ] || apt_install "${missing[@]}"

# --- node ---
scripts/node-path.sh >/dev/null 2>&1 && has npm >/dev/null || scripts/node-install.sh
. scripts/env.sh

# --- QEMU ---
scripts/qemu-install.sh

# --- node_modules ---
if ! node scripts/node-modules-current.mjs; then
  say "npm ci"
  # Through the node chosen above, not the one that Debian's npm names in its first line.
  node "$(readlink -f "$(command -v npm)")" ci --no-audit --no-fund --loglevel=error >&2
fi
# An npm that does not run packages' install scripts leaves the native ones unbuilt: build them then.
for addon in better-sqlite3 zstd-napi; do
  if ! compgen -G "node_modules/$addon/build/Release/*.node" >/dev/null; then
    say "building $addon"
    (cd "node_modules/$addon" && node-gyp rebuild --release --loglevel=error >&2)
  fi
done
