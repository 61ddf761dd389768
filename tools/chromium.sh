#!/bin/bash
# Prints the path of a Chromium that starts, installing one from the system's package manager if it may.
# Rule: standard output is the path and nothing else; `make test` hands it to the tests as MESONB_CHROMIUM.
set -euo pipefail

starts() { [ -n "$1" ] && timeout 60 "$1" --version 2>/dev/null | grep -qiE 'chrom(e|ium)'; }

find_chromium() {
    for name in chromium chromium-browser google-chrome google-chrome-stable \
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" /Applications/Chromium.app/Contents/MacOS/Chromium; do
        path=$(command -v "$name") || continue
        if starts "$path"; then echo "$path"; return; fi      # Ubuntu's chromium-browser may be an empty shell
    done
    return 1
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@" >&2; else sudo -n "$@" >&2; fi
}

may_install() { [ "${MESONB_MAY_INSTALL:-yes}" = yes ] || return 1; [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }

install_chromium() {
    may_install || return 1
    echo "mesonb: no Chromium here; installing one with the system's package manager" >&2
    export DEBIAN_FRONTEND=noninteractive
    if command -v apt-get >/dev/null; then
        { as_root apt-get -qq update || true; } && as_root apt-get -qq install -y --no-install-recommends chromium fonts-dejavu-core
    elif command -v dnf >/dev/null; then as_root dnf -q install -y chromium
    elif command -v zypper >/dev/null; then as_root zypper -q --non-interactive install chromium
    elif command -v pacman >/dev/null; then as_root pacman -S --noconfirm chromium
    elif command -v apk >/dev/null; then as_root apk add -q chromium
    else return 1
    fi
}

if [ -n "${MESONB_CHROMIUM:-}" ]; then
    if starts "$MESONB_CHROMIUM"; then echo "$MESONB_CHROMIUM"; exit; fi
    echo "MESONB_CHROMIUM=$MESONB_CHROMIUM does not start; unset it, or name a Chromium that does." >&2
    exit 1
fi
find_chromium && exit
install_chromium && find_chromium && exit
cat >&2 <<'END'
The browser tests need a Chromium, and none is here that starts; it could not be installed from here either
(that takes root, or sudo without a password). One of these helps:
  - install it: apt-get install chromium | dnf install chromium | pacman -S chromium | brew install --cask chromium
  - name one that is elsewhere: make test MESONB_CHROMIUM=/path/to/chromium
  - leave the browser tests out: make test BROWSER=no
END
exit 1
