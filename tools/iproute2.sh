#!/bin/bash
# Prints the path of `ip` (iproute2), installing it from the system's package manager if it may.
# Rule: standard output is the path and nothing else; tests that make hosts of network namespaces read it.
set -euo pipefail
PATH=$PATH:/usr/sbin:/sbin

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@" >&2; else sudo -n "$@" >&2; fi
}

install_ip() {
    [ "${MESONB_MAY_INSTALL:-yes}" = yes ] || return 1
    export DEBIAN_FRONTEND=noninteractive
    if command -v apt-get >/dev/null; then
        { as_root apt-get -qq update || true; } && as_root apt-get -qq install -y --no-install-recommends iproute2
    elif command -v dnf >/dev/null; then as_root dnf -q install -y iproute
    elif command -v zypper >/dev/null; then as_root zypper -q --non-interactive install iproute2
    elif command -v pacman >/dev/null; then as_root pacman -S --noconfirm iproute2
    elif command -v apk >/dev/null; then as_root apk add -q iproute2
    else return 1
    fi
}

command -v ip && exit
install_ip && command -v ip && exit
echo "the tests across hosts need ip: apt-get install iproute2 | dnf install iproute | pacman -S iproute2" >&2
exit 1
