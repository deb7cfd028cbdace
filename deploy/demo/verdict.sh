#!/bin/sh
# Prints the verdict of a review from its input, JSON on standard input.
set -eu
json=$(cat)
value() {
    printf '%s\n' "$json" | sed -n 's/.*"'"$1"'": *"\{0,1\}\([^",}]*\).*/\1/p'
}
crates=$(printf '%s\n' "$json" | sed -n 's/.*"crates": *\[\([^]]*\)\].*/\1/p' | tr ',' '\n' | wc -l | tr -d ' ')
echo "$crates crates reviewed: $(value longer) files are longer than $(value limit) lines. Approved by $(value by)."
