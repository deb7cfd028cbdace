#!/bin/sh
# Prints the crates of the workspace on one line.
set -eu
for manifest in */Cargo.toml; do
    printf '%s ' "${manifest%/Cargo.toml}"
done
echo
