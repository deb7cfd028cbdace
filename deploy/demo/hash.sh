#!/bin/sh
# Prints one checksum of a crate's Rust files, in the order of their names.
set -eu
if command -v sha256sum >/dev/null; then
    hash=sha256sum
elif command -v shasum >/dev/null; then
    hash='shasum -a 256'
else
    hash=cksum
fi
find "$1" -name '*.rs' -type f | LC_ALL=C sort | while read -r file; do
    cat "$file"
done | $hash | cut -d ' ' -f 1
