#!/usr/bin/env bash
# Renews requirements/ci.txt: the versions that a clean environment gets today.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
scripts/preflight.sh
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$python" -m venv "$scratch/venv"
"$scratch/venv/bin/python" -m pip install --disable-pip-version-check -q -e '.[dev]'
{
    echo '# Versions for tests and demo. Renew with: make lock'
    "$scratch/venv/bin/python" -c 'import sys; print("# Python %d.%d" % sys.version_info[:2])'
    "$scratch/venv/bin/python" -m pip --disable-pip-version-check freeze --exclude-editable --exclude pip --exclude setuptools
} > "$scratch/ci.txt"
mkdir -p requirements
mv "$scratch/ci.txt" requirements/ci.txt
wc -l requirements/ci.txt
