#!/bin/sh
# The demo: one Redis, three nodes, workflows and a batch over the sources of this repository, an
# approval, and a node that is killed while work is running. Ends by itself, cleans up what it
# started, and exits 0 only if everything completed.
set -eu
cd "$(dirname "$0")/../.."

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
if [ -n "${NO_COLOR:-}" ] || [ ! -t 1 ]; then
    say() { printf '\n%s\n' "$*"; }
fi
fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

folder=$(mktemp -d "${TMPDIR:-/tmp}/paceline-demo.XXXXXX")
redis_pid=
pids=

# Ends what this script started, and nothing else: Redis last, as nodes take leave of it.
cleanup() {
    trap - EXIT INT TERM
    for group in "$pids" "$redis_pid"; do
        for pid in $group; do
            kill "$pid" 2>/dev/null || true
        done
        for pid in $group; do
            wait "$pid" 2>/dev/null || true
        done
    done
    rm -rf "$folder"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Waits until a pattern stands in a file, for as long as the process that writes it lives.
wait_for() { # pattern file pid seconds
    tries=$(($4 * 10))
    until grep -q "$1" "$2" 2>/dev/null; do
        kill -0 "$3" 2>/dev/null || { cat "$2" >&2; fail "a process ended at its start"; }
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { cat "$2" >&2; fail "no '$1' within $4 s"; }
        sleep 0.1
    done
}

deploy/install-redis.sh
PATH="$PATH:/usr/sbin:/sbin:/usr/local/bin:/opt/homebrew/bin"
redis=$(command -v redis-server || command -v valkey-server)

say 'Building (the dev profile: it builds in a fraction of the time, and tests use the same)'
cargo build --bin paceline
paceline=${CARGO_TARGET_DIR:-target}/debug/paceline

say 'Starting one Redis and three nodes'
# A socket in our own folder: no port to choose, and nobody else in it.
"$redis" --port 0 --unixsocket "$folder/redis.sock" --dir "$folder" --save '' --appendonly no \
    --maxmemory-policy noeviction >"$folder/redis.log" 2>&1 &
redis_pid=$!
wait_for 'eady to accept connections' "$folder/redis.log" "$redis_pid" 20
export PACELINE_REDIS="unix://$folder/redis.sock"
echo "redis at $PACELINE_REDIS"
for n in 1 2 3; do
    RUST_LOG=${RUST_LOG:-warn} "$paceline" node --name "demo-$n" --allow-shell --lease 2s \
        --concurrency 4 >"$folder/node-$n.out" 2>"$folder/node-$n.err" &
    eval "node_$n=$!"
    pids="$! $pids"
done
for n in 1 2 3; do
    eval "pid=\$node_$n"
    wait_for 'ready' "$folder/node-$n.out" "$pid" 30
    line=$(head -n 1 "$folder/node-$n.out")
    echo "demo-$n: $line"
    id=${line#node }
    echo "s/${id%% *}/demo-$n/g" >>"$folder/names.sed"
done

say 'Census: counts and hashes every crate in parallel, joins the results, writes a report'
"$paceline" run --watch=lines deploy/demo/census.yaml || fail 'the census did not complete'

say 'Review: a map, a loop, a choice of two ways, hooks, and a signal that somebody must send'
"$paceline" workflow graph deploy/demo/review.yaml >"$folder/review.mmd"
echo "its picture, in Mermaid, has $(grep -c -e '-->' -e '-.->' "$folder/review.mmd") arrows"

# What somebody would do in another terminal: look at what waits, and approve it.
approve() {
    tries=600
    while [ "$tries" -gt 0 ]; do
        tries=$((tries - 1))
        id=$("$paceline" workflow list --status running 2>/dev/null |
            sed -n 's/^\(wf_[0-9A-Z]*\) *review .*/\1/p' | head -n 1)
        if [ -n "$id" ] && "$paceline" workflow get "$id" | grep -q '^approve *signal *running'; then
            "$paceline" workflow signal "$id" approve '{"by": "the demo"}' >"$folder/approved"
            return
        fi
        sleep 0.2
    done
}
approve &
approver=$!
pids="$approver $pids"
"$paceline" run deploy/demo/review.yaml || fail 'the review did not complete'
wait "$approver" || true
[ -s "$folder/approved" ] || fail 'nobody approved the review'
cat "$folder/approved"

say 'Checksums: a batch with an item for each Rust file, twenty at a time'
mkdir -p target/demo
deploy/demo/items.sh >target/demo/files.jsonl
"$paceline" run deploy/demo/checksums.yaml >"$folder/checksums.out" ||
    fail 'the batch did not complete'
cat "$folder/checksums.out"
batch=$("$paceline" batch list --limit 1 | sed -n 's/^\(batch_[0-9A-Z]*\) .*/\1/p')
"$paceline" batch results "$batch" --limit 3

say 'Relay: hashes again, slowly, and the node that starts its first task is killed meanwhile'
"$paceline" run --watch=lines deploy/demo/relay.yaml >"$folder/relay.out" 2>"$folder/relay.log" &
relay=$!
pids="$relay $pids"
wait_for ' on node_' "$folder/relay.log" "$relay" 30
name=$(sed -n 's/.* on \(node_[0-9A-Z]*\).*/\1/p' "$folder/relay.log" | head -n 1 |
    sed -f "$folder/names.sed")
eval "pid=\${node_${name#demo-}:-}"
[ -n "$pid" ] || fail "the first task runs on $name, which is none of the three nodes"
kill -KILL "$pid"
echo "killed $name (process $pid) with SIGKILL, while it was running:"
sed -f "$folder/names.sed" "$folder/relay.log" | sed -n "s/  running on $name\$//p" | sed 's/^/  /'
completed=0
wait "$relay" || completed=$?

say 'What happened'
sed -f "$folder/names.sed" "$folder/relay.log"
[ "$completed" = 0 ] || fail "the relay ended with exit code $completed"
recovered=$("$paceline" events --kind job.auto_recovered 2>/dev/null | wc -l | tr -d ' ')
[ "$recovered" -gt 0 ] || fail 'the killed node had no work to recover'

say "Taken from $name and finished by the others: $recovered tasks"
sed -f "$folder/names.sed" "$folder/relay.log" |
    sed -n 's/^\([^ ]*\) *running, attempt 2 on \(.*\)/  \1 by \2/p'
say 'The nodes that are left'
"$paceline" node list
say "Everything completed. The report: file://$PWD/target/demo/report.html"
