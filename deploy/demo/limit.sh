#!/bin/sh
# One pass of a loop: raises the limit for the length of a file by fifty lines, and prints it with
# how many Rust files of the crates are longer: {"limit":200,"longer":41}.
#
# The iteration says how often it was raised, so that a second attempt of a pass is the same pass.
set -eu
limit=$((200 + 50 * ${PACELINE_ITERATION:-0}))
longer=0
for crate in $(deploy/demo/list.sh); do
    count=$(find "$crate" -name '*.rs' -type f -exec wc -l {} + |
        awk -v limit="$limit" '$2 != "total" && $1 > limit' | wc -l)
    longer=$((longer + count))
done
echo "{\"limit\":$limit,\"longer\":$longer}"
