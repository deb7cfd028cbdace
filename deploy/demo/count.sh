#!/bin/sh
# Prints how many Rust files, lines and bytes a crate has: `client 20 3273 120000`.
set -eu
find "$1" -name '*.rs' -type f -exec cat {} + | wc -lc | {
    read -r lines bytes
    files=$(find "$1" -name '*.rs' -type f | wc -l | tr -d ' ')
    echo "$1 $files $lines $bytes"
}
