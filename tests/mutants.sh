#!/usr/bin/env bash
# Takes the guards out, one at a time, in a copy of the sources, and sees the tests fail.
# A guard whose absence no test notices is not guarded. Takes a few minutes; not part of `make test`.
set -euo pipefail
cd "$(dirname "$0")/.."

copy=$(mktemp -d "${TMPDIR:-/tmp}/paceline-mutants.XXXXXX")
trap 'rm -rf "$copy"' EXIT
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$copy"
cd "$copy"
# Of its own, so that the sources' target folder is not disturbed; kept between runs.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-${TMPDIR:-/tmp}/paceline-mutants-target}

suites=(--test fences --test lanes --test lost_replies --test ledger)
survivors=0

# name, file, the guard, what stands in its place
mutant() {
    cp "$2" "$copy/original"
    MUTANT_FROM=$3 MUTANT_TO=$4 perl -0pi -e 's/\Q$ENV{MUTANT_FROM}\E/$ENV{MUTANT_TO}/ or die "the guard is not there\n"' "$2"
    if timeout 300 cargo test --quiet -p paceline-tests "${suites[@]}" >"$copy/log" 2>&1; then
        echo "SURVIVED  $1"
        survivors=$((survivors + 1))
    else
        echo "killed    $1, by $(grep -cE '^test .* FAILED|^    [a-z_:]+$' "$copy/log" || true) lines of failures"
    fi
    cp "$copy/original" "$2"
}

cargo test --quiet -p paceline-tests "${suites[@]}" >"$copy/log" 2>&1 || {
    cat "$copy/log"
    echo "the tests fail without any mutant" >&2
    exit 1
}
mutant 'the owner of a run is not checked' store/lua/lib/settle.lua \
    'if owner == run.token then' 'if owner then'
mutant 'the owners of a group are not checked' store/lua/lib/settle.lua \
    'if owners[place] ~= run.token then return false end' ''
mutant 'terms are not checked' store/lua/lib/term.lua \
    'if newest ~= ARGV[1] then' 'if false then'
mutant 'a repeated turn claims anew' store/lua/lib/claim.lua \
    "if last and string.match(last, '^%d+') == number then" 'if false then'
mutant 'a repeated turn hands out the right to ignore a cancellation' store/lua/lib/claim.lua \
    'as_claimed(token)' 'token'
mutant 'a cancelled run may complete' store/lua/lib/settle.lua \
    $'  if cancelled then\n    code, value' $'  if false then\n    code, value'
mutant 'a repeated submit of plain jobs makes second ones' store/lua/submit.lua \
    "'MSETNX'" "'MSET'"
mutant 'a repeated submit of others makes second ones' store/lua/submit.lua \
    "redis.call('EXISTS', name) == 1" 'false'
mutant 'holes are not looked at' store/lua/lib/claim.lua \
    "redis.call('EXISTS', holes) == 1" 'false'
mutant 'holes are not bounded' store/lua/lib/claim.lua \
    'picked.holes >= MOST_HOLES' 'false'
mutant 'what was claimed of an entry is not kept' store/lua/lib/claim.lua \
    "tonumber(redis.call('HGET', prefix .. 'waiting', lane .. ',') or 0)" '0'
mutant 'a lane of nothing but holes is kept' store/lua/lib/claim.lua \
    '<= 0 and has_holes then' '<= 0 and false then'
mutant 'a retried job does not come back to its place' store/lua/lib/lanes.lua \
    "redis.call('SREM', prefix .. 'holes:' .. lane, id) == 0" 'true'
mutant 'a sweep takes jobs that wait' store/lua/check_lanes.lua \
    'waits = waits or left == 0' 'waits = waits'
mutant 'a sweep looks at what was claimed of an entry' store/lua/check_lanes.lua \
    "if entry[1] == head[1] then" 'if false then'
mutant 'revisions are not checked' store/lua/commit.lua \
    'if revision ~= expected then' 'if not revision then'
mutant 'recovery leaves the fence where it was' store/lua/recover.lua \
    'tonumber(run) + 1' 'tonumber(run)'
mutant 'the lock is taken whoever holds it' store/lua/take.lua \
    'if not free and not as_seen then' 'if false then'
[ "$survivors" = 0 ]
