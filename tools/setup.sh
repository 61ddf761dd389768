#!/bin/bash
# Makes .venv: a Python >= 3.11, what constraints.txt pins, and mesonb itself, editable. `make setup` calls it.
# Rule: what is installed is named by version and hash in constraints.txt; where from is the machine's own affair.
set -euo pipefail
cd "$(dirname "$0")/.."

# Prints where that Python really is (the one below, if it is a virtual environment's), or fails if it is too old.
new_enough() { "$1" -c 'import sys; sys.version_info >= (3, 11) or sys.exit(1); print(sys._base_executable)' 2>/dev/null; }

find_python() {
    for python in ${PYTHON:-python3 python3.13 python3.12 python3.11 python}; do
        if new_enough "$python"; then return; fi
    done
    echo "mesonb needs Python 3.11 or newer; looked for: ${PYTHON:-python3, python3.13, python3.12, python3.11, python}." >&2
    echo "Install one, or name it: make setup PYTHON=/path/to/python3" >&2
    return 1
}

# A .venv that was moved, or whose Python is gone, is made anew.
venv_works() { .venv/bin/python -m pip --version >/dev/null 2>&1 && [ "$(cat .venv/home 2>/dev/null)" = "$(pwd -P)" ]; }

make_venv() {
    local python
    python=$(find_python)
    rm -rf .venv
    if ! "$python" -m venv .venv; then
        rm -rf .venv
        echo "$python could not make a virtual environment. On Debian and Ubuntu: apt-get install python3-venv" >&2
        return 1
    fi
    pwd -P >.venv/home
}

# No pop-up about news, no look for updates, no side panel of a benchmark's peer: a lesson opens on the lesson.
quiet_jupyterlab() {
    mkdir -p .venv/share/jupyter/lab/settings
    echo '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": false}}' \
        >.venv/share/jupyter/lab/settings/overrides.json
    mkdir -p .venv/etc/jupyter/labconfig
    echo '{"disabledExtensions": {"ipyparallel-labextension": true}}' >.venv/etc/jupyter/labconfig/page_config.json
    echo '{"ServerApp": {"jpserver_extensions": {"ipyparallel": false}}}' \
        >.venv/etc/jupyter/jupyter_server_config.d/zz-quiet.json
}

venv_works || make_venv
pip=".venv/bin/python -m pip --disable-pip-version-check --no-input"
echo "mesonb: installing what constraints.txt pins into .venv (a minute or two the first time)"
$pip install --quiet --require-hashes --no-deps --requirement constraints.txt
$pip install --quiet --no-deps --no-build-isolation --no-index --editable .
$pip check
quiet_jupyterlab
touch .venv/stamp
echo "mesonb: .venv is ready ($(.venv/bin/python --version))"
