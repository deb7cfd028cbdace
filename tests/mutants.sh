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

survivors=0

# what cargo is to test; it must pass without any mutant
suites() {
    tests=("$@")
    cargo test --quiet "${tests[@]}" >"$copy/log" 2>&1 || {
        cat "$copy/log"
        echo "the tests fail without any mutant" >&2
        exit 1
    }
}

# name, file, the guard, what stands in its place
mutant() {
    cp "$2" "$copy/original"
    MUTANT_FROM=$3 MUTANT_TO=$4 perl -0pi -e 's/\Q$ENV{MUTANT_FROM}\E/$ENV{MUTANT_TO}/ or die "the guard is not there\n"' "$2"
    if timeout 300 cargo test --quiet "${tests[@]}" >"$copy/log" 2>&1; then
        echo "SURVIVED  $1"
        survivors=$((survivors + 1))
    else
        echo "killed    $1, by $(grep -cE '^test .* FAILED|^    [a-z_:]+$' "$copy/log" || true) lines of failures"
    fi
    cp "$copy/original" "$2"
}

suites -p paceline-tests --test fences --test lanes --test lost_replies --test ledger
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
    $'  if cancelled then\n    local doom' $'  if false then\n    local doom'
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
mutant 'recovery leaves the fence where it was' store/lua/lib/recovering.lua \
    'tonumber(run) + 1' 'tonumber(run)'
mutant 'the lock is taken whoever holds it' store/lua/take.lua \
    'if not free and not as_seen then' 'if false then'

# What a definition must not say.
suites -p paceline-types --lib validate
mutant 'what depends on a condition may be behind none of its routes' types/src/workflow/validate/routes.rs \
    'self.check_joins(&ways, dependencies, &forward, walk)?;' ''
mutant 'a target does not wait for its condition' types/src/workflow/validate/routes.rs \
    'dependencies.with(&deciders);' 'dependencies.with(&[]);'
mutant 'a batch may have no items' types/src/batch/validate.rs \
    'if items.is_empty() {' 'if false {'
mutant 'items of a batch may have one id' types/src/batch/validate.rs \
    'places.get(id) {' 'places.get(id).filter(|_| false) {'

# What is decided.
suites -p paceline-orchestrator --lib -- advance::tests batch::tests workflows::tests --skip chaos --skip scale
mutant 'what is suspended dispatches' orchestrator/src/advance/begin.rs \
    '&& !self.instance.is_suspended()' ''
mutant 'what is suspended opens' orchestrator/src/advance/hooks.rs \
    '&& !self.instance.is_suspended()' ''
mutant 'of a target not its condition decides' orchestrator/src/advance/begin.rs \
    'if !deciders.is_empty() {' 'if false {'
mutant 'a route that is not there is waited for' orchestrator/src/advance/decide.rs \
    'Ok(route) => {' 'Ok(_) if true => {} Ok(route) => {'
mutant 'a result that is gone is waited for' orchestrator/src/advance/decide.rs \
    'Err(Lack::Gone(error)) => {' 'Err(Lack::Gone(_)) if true => {} Err(Lack::Gone(error)) => {'
mutant 'a loop goes round once more than it may' orchestrator/src/advance/begin.rs \
    'if evaluations < most {' 'if evaluations <= most {'
mutant 'a retry counts iterations on' orchestrator/src/advance/restart.rs \
    'self.reset(index, 0);' 'self.reset(index, 2);'
mutant 'a policy tries again for ever' orchestrator/src/advance/stage.rs \
    'attempt >= policy.max_attempts || ' ''
mutant 'what ends to be tried again is not cancelled' orchestrator/src/advance/stage.rs \
    '&& self.rest_after(first).is_some() =>' '&& false =>'
mutant 'an end does not wait for what runs' orchestrator/src/advance/end.rs \
    'if self.instance.has_undecided() || self.instance.has_open_tasks() {' 'if false {'
mutant 'children are not cancelled' orchestrator/src/advance/end.rs \
    'self.effect(Effect::CancelChild { child });' 'let _ = child;'
mutant 'an outcome does not wait for its hook' orchestrator/src/advance/stage.rs \
    'if self.instance.calls_hooks_after(&Stage::Completed) && !self.can_act() {' 'if false {'
mutant 'a signal is taken in twice' orchestrator/src/advance/begin.rs \
    'if number <= self.instance.header().signals {' 'if false {'
mutant 'every commit writes all records' orchestrator/src/advance.rs \
    'self.tasks.into_iter().collect();' \
    'self.instance.records().map(|(index, record)| (index, record.clone())).collect();'
mutant 'poison is dropped without a word' orchestrator/src/desk/bench.rs \
    'Answer::Park(reason) => self.park(workflow, &event, source, reason),' \
    'Answer::Park(_) => self.answers.late += 1,'
mutant 'poison is never given up' orchestrator/src/workflows.rs \
    'if *suspect == item =>' 'if *suspect == item && false =>'
mutant 'a cancelled item is kept by a retry' orchestrator/src/batch/advance.rs \
    'if failed_only && earlier.state.is_completed() {' \
    'if failed_only && !matches!(earlier.state, ItemState::Dead | ItemState::Waiting) {'
mutant 'counters of a batch are not rebuilt' orchestrator/src/batch/advance.rs \
    'header.failed = 0;' ''
mutant 'failing fast lets what runs run' orchestrator/src/batch/advance.rs \
    'self.cancel(limit);' ''
mutant 'a policy leaves failing fast out' orchestrator/src/batch/advance.rs \
    'Some(delay) if ending.is_failure() && self.may_rest() => {' \
    'Some(delay) if matches!(ending, BatchEnding::ItemsFailed { .. }) && self.may_rest() => {'

# What is kept.
suites -p paceline-tests --test flows_store --test groups --test batches
mutant 'a push that comes twice counts twice' store/lua/push_group.lua \
    "redis.call('SISMEMBER', pushes .. span, ids[1]) == 1" 'false'
mutant 'a push that comes twice in two spans counts twice' store/lua/push_group.lua \
    "redis.call('SISMEMBER', pushes .. span - 1, ids[1]) == 1" 'false'
mutant 'a flush that comes twice makes two jobs' store/lua/flush_groups.lua \
    "redis.call('EXISTS', prefix .. 'j:' .. id) == 0" 'true'
mutant 'messages stay behind a flush' store/lua/lib/groups.lua \
    "redis.call('UNLINK', prefix .. 'group:' .. name, prefix" "redis.call('UNLINK', prefix"
mutant 'a batch is accepted without all of its items' store/lua/accept_batch.lua \
    "redis.call('HLEN', KEYS[4]) ~= tonumber(ARGV[4])" 'false'
mutant 'a workflow is submitted twice' store/lua/lib/accepting.lua \
    "redis.call('EXISTS', record) == 1" 'false'
mutant 'results of tasks have a retention of their own' store/lua/lib/endings.lua \
    'if not workflow then return book_ends' 'if letter then book_ends(id, letter, retention, 1) end if not workflow then return book_ends'
mutant 'two signals have one key' store/lua/signal.lua \
    'if tonumber(until_then) > now then' 'if false then'
mutant 'a commit from before a suspension is taken' store/lua/lib/suspending.lua \
    "redis.call('HINCRBY', KEYS[2], 'r', 1)" ''
mutant 'an end of a child is told twice' store/lua/deliver_end.lua \
    "if new == 0 and ARGV[6] ~= '1' then return 0 end" ''
mutant 'a cancellation stays behind when a workflow goes on' store/lua/lib/succeeding.lua \
    'if made and cancelled then' 'if false then'
mutant 'a retried workflow is suspended still' store/lua/retry_workflow.lua \
    "'p', 'z', 'd', 'k')" "'p', 'd', 'k')"
mutant 'a retried workflow is cancelled still' store/lua/retry_workflow.lua \
    "'p', 'z', 'd', 'k')" "'p', 'z', 'd')"
[ "$survivors" = 0 ]
