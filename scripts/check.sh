#!/usr/bin/env bash
# Types, lint and formatting of the whole tree. Every check runs, so that one run shows all there is to mend; the exit code is
# the number of checks that failed. Runs in the environment of scripts/env.sh.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=0
check() { # check NAME COMMAND...
  local name=$1
  shift
  "$@" || {
    printf 'check: %s failed\n' "$name" >&2
    failed=$((failed + 1))
  }
}

native_sources() {
  git ls-files -co --exclude-standard -- 'native/*.c' 'native/*.cc' 'native/*.h' 'fixtures/*.c' 'fixtures/*.h' |
    while read -r file; do if [ -e "$file" ]; then printf '%s\n' "$file"; fi; done
}

native_format() {
  local -a files
  mapfile -t files < <(native_sources)
  [ "${#files[@]}" -eq 0 ] || clang-format --dry-run -Werror "${files[@]}"
}

scripts_parse() {
  local script
  for script in scripts/*.sh fixtures/guests/build.sh .ci/run; do bash -n "$script" || return 1; done
}

check 'types of src' tsc -p tsconfig.json --noEmit
check 'types of tests' tsc -p tsconfig.test.json --noEmit
check 'lint' eslint --max-warnings 0 .
check 'format' prettier --check --log-level warn .
check 'native format' native_format
check 'scripts' scripts_parse
exit "$failed"
