#!/bin/bash
# Runs pytest: test.sh BROWSER MARKS [pytest's arguments]. `make test` and `make test-all` call it.
# Rule: pytest's closing line is the last line written, and its exit code is ours.
set -euo pipefail
cd "$(dirname "$0")/.."
browser=$1 marks=$2
shift 2
if [ "$browser" = no ]; then
    marks="($marks) and not browser"
else
    MESONB_CHROMIUM=$(tools/chromium.sh)
    export MESONB_CHROMIUM
fi
exec .venv/bin/python -m pytest -m "$marks" "$@"
