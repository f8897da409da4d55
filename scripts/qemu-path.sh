#!/usr/bin/env bash
# Prints the path of the QEMU 10.0 to use: TRMIG_QEMU if set and not of another architecture by its name, else the system's if it is of the 10.0 line, else the private
# one that scripts/qemu-install.sh made. Exits 1, printing nothing, where there is none.
#
#   scripts/qemu-path.sh [qemu-system-x86_64 | qemu-system-aarch64 | qemu-img]
set -euo pipefail

program=${1:-qemu-system-x86_64}
private=${XDG_CACHE_HOME:-$HOME/.cache}/trmig/qemu-10.0/bin/$program

named=${TRMIG_QEMU:-}
case ${named##*/} in
"$program") ;;
qemu-system-x86_64 | qemu-system-aarch64) named= ;;
esac

if [ -n "$named" ] && [ "$program" != qemu-img ]; then
  printf '%s\n' "$named"
elif system=$(command -v "$program") && "$system" --version | grep -Eq '^[^ ]+( emulator)? version 10\.0\.'; then
  printf '%s\n' "$system"
elif [ -x "$private" ]; then
  printf '%s\n' "$private"
else
  exit 1
fi
