#!/usr/bin/env bash
# Runs the compiled tests of the folders or files given (by their names under test/) and ends with how many passed and failed.
# Tests are found by their sources, so that one that was deleted does not run from a stale build. Runs in the environment of
# scripts/env.sh. The last line is left in out/test-count.
set -euo pipefail
cd "$(dirname "$0")/.."

soak=(-not -path 'test/soak/*')
case " $* " in *' test/soak'*) soak=() ;; esac
mapfile -t tests < <(find "$@" -name '*.test.ts' "${soak[@]}" | LC_ALL=C sort | sed 's|^\(.*\)\.ts$|build/\1.js|')
if [ "${#tests[@]}" -eq 0 ]; then
  echo 'no tests found' >&2
  exit 1
fi

mkdir -p out
rm -f out/test-count
tap run --reporter=tap "${tests[@]}" | node scripts/tap-report.mjs out/test-count
