#!/usr/bin/env bash
# lowest.sh [pytest arguments]: the tests with every direct dependency at its declared lower bound.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
scripts/preflight.sh
mkdir -p build
rm -rf build/lib build/bdist.*
venv=build/lowest
"$python" -m venv --clear "$venv"
"$python" - > build/lowest.txt <<'PY'
import re
from pathlib import Path

text = Path("pyproject.toml").read_text()
wanted = re.search(r"^dependencies = \[(.*?)^\]", text, re.S | re.M).group(1)
wanted += "".join(re.findall(r"^(?:pandas|plot|polars) = \[(.*?)\]", text, re.M))
for name, version in re.findall(r'"([\w.-]+)>=([\d.]+)', wanted):
    print(f"{name}=={version}.*" if version.count(".") < 2 else f"{name}=={version}")
PY
"$venv/bin/python" -m pip install --disable-pip-version-check -q -c build/lowest.txt -e '.[dev]' || {
    cat build/lowest.txt >&2
    exit 1
}
"$venv/bin/python" -m pip --disable-pip-version-check freeze | grep -iF -f <(cut -d= -f1 build/lowest.txt) || true
# deprecations of later versions are not warned about here, and old versions warn of other things
"$venv/bin/python" -m pytest -q -W default ${@+"$@"}
