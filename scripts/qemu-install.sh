#!/usr/bin/env bash
# Makes a QEMU of the 10.0 line available. Where Debian's own packages are of that line (Debian 13) they are installed; on
# Debian 12 those of bookworm-backports are unpacked into a prefix of their own and the system is left alone.
#
# What an outsider can see of the prefix: nothing, or all of it. It is built as qemu-10.0.partial.PID and renamed at the end,
# under a lock, so that a killed setup leaves no half prefix and a second clone finds the first one's.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/say.sh
. scripts/apt-private.sh

programs=(qemu-system-x86_64 qemu-system-aarch64 qemu-img)
# all_run COMMAND...: whether each program that COMMAND finds runs.
all_run() {
  local program found
  for program in "${programs[@]}"; do
    found=$("$@" "$program") && "$found" --version >/dev/null 2>&1 || return 1
  done
}
in_prefix() { printf '%s\n' "$prefix/bin/$1"; }

if [ -n "${TRMIG_QEMU:-}" ]; then
  "$TRMIG_QEMU" --version >/dev/null 2>&1 ||
    fail "TRMIG_QEMU=$TRMIG_QEMU does not run" "Set it to a working qemu-system-x86_64 of the 10.0 line, or unset it."
  exit 0 # whoever brings a QEMU brings all that it takes
fi
if all_run scripts/qemu-path.sh; then
  exit 0
fi

cache=${XDG_CACHE_HOME:-$HOME/.cache}/trmig
prefix=$cache/qemu-10.0
packages=(qemu-system-x86 qemu-system-arm qemu-utils)

candidate=$(LC_ALL=C apt-cache policy qemu-system-x86 2>/dev/null | sed -n 's/^ *Candidate: //p')
case $candidate in
1:10.0.*)
  apt_install "${packages[@]}"
  all_run scripts/qemu-path.sh ||
    fail "apt-get installed $candidate, but no QEMU 10.0 runs" "Look at: qemu-system-x86_64 --version"
  exit 0
  ;;
esac

codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
if [ "$codename" != bookworm ]; then
  fail "This system offers QEMU '${candidate:-none}', and trmig needs the 10.0 line" \
    "Use Debian 12 or 13, or set TRMIG_QEMU to a qemu-system-x86_64 of the 10.0 line."
fi

mkdir -p "$cache"
exec 9>"$cache/qemu.lock"
flock 9
if all_run in_prefix; then
  exit 0 # another setup made it while this one waited
fi

say "QEMU 10.0: unpacking bookworm-backports' packages into $prefix"
rm -rf "$prefix".partial.*
partial=$prefix.partial.$$
trap 'rm -rf "$partial"' EXIT
mkdir -p "$partial/debs" "$partial/bin"

private_apt_begin "$partial/apt" "$(dpkg --print-architecture)" bookworm-backports bookworm
wanted=("${packages[@]}" qemu-system-common qemu-system-data seabios ipxe-qemu)
# What the system has already is not in this list: the prefix holds QEMU and the libraries that are missing here. The firmware
# and data packages are named besides, as the system may have older ones.
mapfile -t missing < <(
  private_apt -s install -t bookworm-backports --no-install-recommends --allow-downgrades --reinstall "${wanted[@]}" |
    sed -n 's/^Inst \([^ ]*\) .*/\1/p' | sort -u
)
[ "${#missing[@]}" -ge "${#wanted[@]}" ] || fail "apt-get could not work out what QEMU 10.0 needs" "Run: bash -x scripts/qemu-install.sh"
(cd "$partial/debs" && private_apt -qq download -t bookworm-backports "${missing[@]}")
for deb in "$partial"/debs/*.deb; do
  dpkg -x "$deb" "$partial"
done
rm -rf "$partial/apt" "$partial/debs" "$partial"/usr/share/{doc,man,icons,applications,lintian}

# Each wrapper ends in exec: the process id that a caller gets is QEMU's own.
multiarch=$(gcc -print-multiarch 2>/dev/null || echo x86_64-linux-gnu)
for program in "${programs[@]}"; do
  case $program in
  qemu-system-*) firmware="-L $prefix/usr/share/qemu -L $prefix/usr/share/seabios -L $prefix/usr/lib/ipxe/qemu" ;;
  *) firmware= ;;
  esac
  cat >"$partial/bin/$program" <<WRAPPER
#!/bin/sh
export LD_LIBRARY_PATH='$prefix/usr/lib/$multiarch:$prefix/lib/$multiarch'"\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}"
export QEMU_MODULE_DIR='$prefix/usr/lib/$multiarch/qemu'
exec '$prefix/usr/bin/$program' $firmware "\$@"
WRAPPER
  chmod +x "$partial/bin/$program"
done

rm -rf "$prefix"
sync
mv "$partial" "$prefix"
all_run in_prefix || fail "The unpacked QEMU does not run" "Look at: ldd $prefix/usr/bin/qemu-system-x86_64"
