#!/bin/bash
# Writes constraints.txt: for Python 3.11 and newer, one version of everything, with hashes. `make lock` calls it.
# Rule: names, versions, markers and hashes only; no address and no path ever stands in the file.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ ! -x build/lock/bin/uv ]; then
    "${PYTHON:-python3}" -m venv build/lock
    build/lock/bin/python -m pip --disable-pip-version-check install --quiet uv
fi
build/lock/bin/uv pip compile pyproject.toml --quiet --upgrade --all-extras --universal --python-version 3.11 \
    --fork-strategy fewest --generate-hashes --no-header --no-annotate \
    --no-emit-index-url --no-emit-find-links --output-file build/constraints.txt
{ echo "# Written by \`make lock\` from pyproject.toml; not edited by hand."; cat build/constraints.txt; } >constraints.txt
echo "constraints.txt: $(grep -c == constraints.txt) packages"
