#!/bin/sh
# The join: adds up the counts of all crates. Standard input holds them by task name:
# {"input":…,"upstream":{"count-client":"client 20 3273 120000",…}}. Prints JSON, which makes the
# result an object.
set -eu
tr '{,}' '\n\n\n' | sed -n 's/^"count-[^"]*": *"\([^"]*\)"$/\1/p' | awk '
    { crates += 1; files += $2; lines += $3; bytes += $4 }
    END {
        printf "{\"crates\":%d,\"files\":%d,\"lines\":%d,\"bytes\":%d}\n", crates, files, lines, bytes
    }'
