#!/usr/bin/env bash
# The main job, to look at: a guest that writes a 64 MiB hot set at random moves from one host to another while it runs. As
# root the two share only a network (bench/demo.ts); otherwise they are two state directories, and the guest, without nic and
# disk, moves over TCP on loopback. Leaves out/demo/report.json and out/demo/report.html.
# Run it by `make demo`, which builds what it needs; `make demo GUEST=aarch64` for an emulated Arm machine.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/say.sh

seconds_before=3
case ${1:-x86_64} in
x86_64) machine=hotset ;;
aarch64) machine=hotset-aarch64 ;;
*) fail "There is no guest for $1" "Use GUEST=x86_64 or GUEST=aarch64." ;;
esac

# All that hosts are made of (bench/hosts.ts), tried out in namespaces that are gone at once.
may_make_hosts() {
  unshare --net --pid --mount --fork --kill-child --mount-proc sh -c '
    ip link add br0 type bridge && ip link add link0 type veth peer name link1 && ip tuntap add dev tap0 mode tap &&
    tc qdisc add dev link0 root tbf rate 1gbit burst 256kb latency 50ms'
}
if why=$(may_make_hosts 2>&1); then exec node build/bench/demo.js "$machine"; fi
say "no two hosts with a network between them, which needs root and namespaces (${why##*$'\n'}): this goes over loopback"

out=out/demo
# Unix sockets want short paths, wherever this clone lies.
hosts=$(mktemp -d "${TMPDIR:-/tmp}/trmig-demo.XXXXXX")
trmig() { node bin/trmig.js "$@"; }

clean_up() {
  trap - EXIT INT TERM
  [ -z "${receiver:-}" ] || kill "$receiver" 2>/dev/null || true
  for host in a b; do
    trmig stop "$machine" --home "$hosts/$host" --force >/dev/null 2>&1 || true
  done
  rm -rf "$hosts"
}
trap clean_up EXIT
trap 'clean_up; exit 130' INT TERM

mkdir -p "$out"
rm -f "$out/client.json"
say "host a: starting the guest"
trmig run "fixtures/specs/$machine.yaml" --home "$hosts/a"
until [ "$(grep -c '^count ' "$hosts/a/machines/$machine/console.log" 2>/dev/null || true)" -ge $((seconds_before * 10)) ]; do
  sleep 0.2
done
tail -n 3 "$hosts/a/machines/$machine/console.log"

say "host b: listening"
trmig receive --listen 127.0.0.1:0 --once --json --home "$hosts/b" >"$hosts/receive.jsonl" &
receiver=$!
until address=$(sed -n 's/.*"listening":"\([^"]*\)".*/\1/p' "$hosts/receive.jsonl" | head -n 1) && [ -n "$address" ]; do
  kill -0 "$receiver" 2>/dev/null || { cat "$hosts/receive.jsonl"; exit 1; }
  sleep 0.1
done

say "migrating to $address"
trmig migrate "$machine" "$address" --verify --home "$hosts/a" --report-dir "$out"
wait "$receiver"
receiver=

sleep 1
say "the guest's own counter: the last lines on host a, the first on host b"
tail -n 2 "$hosts/a/machines/$machine/console.log"
grep '^count ' "$hosts/b/machines/$machine/console.log" | head -n 2
say "report: $out/report.html"
