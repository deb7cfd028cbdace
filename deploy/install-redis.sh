#!/bin/sh
# Makes sure that a Redis or Valkey server is on this machine: looks for one, else installs one with
# the package manager, with sudo when not root. Prints one sentence when it cannot.
set -eu

MIN_MAJOR=7

say() { printf '%s\n' "$*" >&2; }

# The first server on the PATH, and in the folders that a PATH may lack.
find_server() {
    PATH="$PATH:/usr/sbin:/sbin:/usr/local/bin:/opt/homebrew/bin"
    command -v redis-server || command -v valkey-server
}

if server=$(find_server); then
    say "Redis server: $server"
    exit 0
fi

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null 2>&1; then
        sudo "$@"
    else
        say "Installing a Redis server needs root: run '$*' as root, then try again."
        exit 1
    fi
}

if command -v apt-get >/dev/null 2>&1; then
    say "Installing redis-server with apt."
    as_root apt-get update -qq
    # Services are not started by this: the demo and the tests start private servers of their own.
    as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
        apt-get install -y -qq --no-install-recommends redis-server >/dev/null
elif command -v dnf >/dev/null 2>&1; then
    say "Installing a Redis server with dnf."
    as_root dnf install -y -q valkey || as_root dnf install -y -q redis
elif command -v apk >/dev/null 2>&1; then
    say "Installing redis with apk."
    as_root apk add --quiet redis || as_root apk add --quiet valkey
elif command -v brew >/dev/null 2>&1; then
    say "Installing redis with brew."
    brew install --quiet redis
else
    say "No Redis server and no apt, dnf, apk or brew here: install Redis $MIN_MAJOR.0 or Valkey 7.2," \
        "or newer, from https://redis.io/download and put redis-server on the PATH."
    exit 1
fi

if server=$(find_server); then
    say "Redis server: $server"
else
    say "The package was installed, but neither redis-server nor valkey-server is on the PATH."
    exit 1
fi
