#!/usr/bin/env bash
# setup.sh run|dev: .venv with the package installed in place, and for dev the tools. Does nothing
# if that was done already for the same pyproject.toml, C source, locked versions and interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:?run or dev}
python=${PYTHON:-python3}

digest() { { sha256sum "$@" 2> /dev/null || shasum -a 256 "$@"; } | cut -c1-64 | tr -d '\n'; }
have() { [ -x .venv/bin/python ] && [ "$(cat ".venv/installed-$1" 2> /dev/null)" = "$stamp" ]; }

identity=$("$python" -c 'import sys; print(sys.version, sys.base_prefix)' 2> /dev/null || true)
stamp="$(digest pyproject.toml setup.py storage/native/_graph.c storage/native/_kernel.c storage/native/_postings.c storage/native/_text.c storage/native/vectors.h requirements/ci.txt) $(pwd) $identity"
if have dev || have "$kind"; then exit 0; fi

scripts/preflight.sh
if [ -x .venv/bin/python ] && [ "$(cat .venv/identity 2> /dev/null)" != "$identity" ]; then
    echo 'Another interpreter than before: making .venv anew.'
    rm -rf .venv
fi
if [ ! -x .venv/bin/python ]; then
    "$python" -m venv .venv
    printf '%s\n' "$identity" > .venv/identity
fi

constraints=()
if grep -qx "# $(.venv/bin/python -c 'import sys; print("Python %d.%d" % sys.version_info[:2])')" requirements/ci.txt; then
    constraints=(-c requirements/ci.txt)
else
    echo "requirements/ci.txt is locked for another Python: taking the newest versions that fit this one."
fi
target=.
[ "$kind" = dev ] && target='.[dev]'
echo 'Installing into .venv (the first time takes a minute or two; some of it is compiled) ...'
log=.venv/install.log
if ! .venv/bin/python -m pip install --disable-pip-version-check --progress-bar off \
    -e "$target" ${constraints[@]+"${constraints[@]}"} > "$log" 2>&1; then
    cat "$log" >&2
    echo "The installation failed; the whole output is in $log." >&2
    exit 1
fi
printf '%s\n' "$stamp" > ".venv/installed-$kind"
echo "Installed: $(.venv/bin/python -m pip --disable-pip-version-check list 2> /dev/null | tail -n +3 | wc -l) packages."
