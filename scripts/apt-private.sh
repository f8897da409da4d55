# A private apt: Debian packages fetched and unpacked for trmig alone, while the system's sources, lists and packages stay as
# they are. Needs no root. Sourced, after scripts/say.sh, by scripts/qemu-install.sh and fixtures/guests/build.sh.
#
#   private_apt_begin DIR ARCH SUITE...   configures apt below DIR and fetches the suites' lists
#   private_apt APT-GET-ARGUMENTS...      runs apt-get with that configuration
#
# The mirror is the one the system itself uses for Debian; the keyring is the system's.
# shellcheck shell=bash

debian_keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# The Debian archive that this system's own apt uses: the address given for the suite that it runs.
debian_mirror() {
  local codename found
  codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
  found=$(
    awk -v wanted="$codename" '
      function flush() {
        if ((" " kind " ") ~ / deb / && (" " suites " ") ~ (" " wanted " ")) print uri
        kind = ""; suites = ""; uri = ""
      }
      FNR == 1 || /^[[:space:]]*$/ { flush() }
      $1 == "Types:" { sub(/^Types:[[:space:]]*/, ""); kind = $0 }
      $1 == "Suites:" { sub(/^Suites:[[:space:]]*/, ""); suites = $0 }
      $1 == "URIs:" { uri = $2 }
      END { flush() }' /dev/null $(compgen -G '/etc/apt/sources.list.d/*.sources')
    sed -n "s/^deb  *\(\[[^]]*\]  *\)\{0,1\}\([^ ]*\)  *$codename  *.*/\2/p" /dev/null \
      $(compgen -G '/etc/apt/sources.list') $(compgen -G '/etc/apt/sources.list.d/*.list')
  )
  found=$(sed -n 1p <<<"$found")
  [ -n "$found" ] || fail "apt has no source for Debian ${codename:-(unknown)}" \
    "Add one to /etc/apt/sources.list.d/debian.sources, as Debian's installer does."
  printf '%s\n' "$found"
}

private_apt_begin() {
  local dir=$1 arch=$2 mirror suite
  shift 2
  mirror=$(debian_mirror)
  mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial" "$dir/preferences.d"
  # Another architecture's packages are resolved against an empty dpkg status: nothing of it is installed here.
  local status=/var/lib/dpkg/status
  if [ "$arch" != "$(dpkg --print-architecture)" ]; then
    status=$dir/status
    : >"$status"
  fi
  # Given with -c, so it is read after the system's own files: a proxy stays in force, hooks on updates do not.
  cat >"$dir/apt.conf" <<CONF
Dir::State "$dir/state";
Dir::State::status "$status";
Dir::Cache "$dir/cache";
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "-";
Dir::Etc::preferencesparts "$dir/preferences.d";
APT::Architecture "$arch";
#clear APT::Architectures;
APT::Architectures { "$arch"; };
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets::deb::DEP-11;
#clear Acquire::IndexTargets::deb::DEP-11-icons-small;
#clear Acquire::IndexTargets::deb::DEP-11-icons;
#clear Acquire::IndexTargets::deb::DEP-11-icons-hidpi;
CONF
  for suite in "$@"; do
    printf 'deb [signed-by=%s] %s %s main\n' "$debian_keyring" "$mirror" "$suite"
  done >"$dir/sources.list"
  private_apt_conf=$dir/apt.conf
  private_apt -qq update
}

private_apt() {
  apt-get -c "$private_apt_conf" "$@"
}
