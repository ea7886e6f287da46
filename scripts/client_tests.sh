#!/usr/bin/env bash
# The client's own wheel, built and tried in an environment with nothing else in it: alone, then with the
# extra for Arrow transfers. Both times the suite in tests/api runs over HTTP, from a copy of tests/, against
# a server of this checkout.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
base=${CHROMA_PYTHON:-$root/.venv/bin/python}
work=$root/build/client-tests
rm -rf "$work"
mkdir -p "$work/suite"
"$base" scripts/build_client.py "$work/dist"
wheel=$(ls "$work"/dist/*.whl)

"$base" -m chroma run --path "$work/db" --port 0 --allow-reset > "$work/server.out" 2> "$work/server.log" &
server=$!
trap 'kill $server 2> /dev/null || true; wait $server || true' EXIT
url=''
for _ in $(seq 300); do
    url=$(grep -o 'http://[^ ]*' "$work/server.out" 2> /dev/null | head -n 1 || true)
    [ -n "$url" ] && break
    kill -0 $server || { cat "$work/server.log" >&2; exit 1; }
    sleep 0.1
done

"$base" -m venv "$work/venv"
python=$work/venv/bin/python
install() { "$python" -m pip install --disable-pip-version-check --progress-bar off -q "$@"; }
cp -r tests "$work/suite/tests"
find "$work/suite" -name __pycache__ -prune -exec rm -rf {} +
cp pyproject.toml "$work/suite/"

install "$wheel"
"$python" -m pip --disable-pip-version-check list --format freeze | grep -v '^pip=\|^setuptools='
(cd "$work" && "$python" -W error "$root/scripts/smoke_client.py" thin "$url")

cat > "$work/typed.py" <<'PY'
import chroma
from chroma.api.models.Collection import Collection

things: Collection = chroma.HttpClient("localhost", 8000).get_or_create_collection("things")
things.count().bit_length()
chroma.HttpClient(ports=1)  # type: ignore[call-arg]
things.nonsense()  # type: ignore[attr-defined]
PY
(cd "$work" && "$base" -m mypy --strict --config-file= --cache-dir mypy --python-executable "$python" typed.py)

constraints=()
grep -qx "# $("$python" -c 'import sys; print("Python %d.%d" % sys.version_info[:2])')" requirements/ci.txt &&
    constraints=(-c requirements/ci.txt)
install pytest pytest-timeout hypothesis ${constraints[@]+"${constraints[@]}"}
run() { (cd "$work/suite" && CHROMA_TEST_SERVER=$url "$python" -m pytest -q -rs -p no:cacheprovider "$@"); }
run tests/api "$@"

install "$wheel[arrow]" ${constraints[@]+"${constraints[@]}"}
(cd "$work" && "$python" -W error "$root/scripts/smoke_client.py" thin "$url")
# what the encoding of records and answers matters to
run tests/api/test_{add,get,order,query,results,types,update,upsert,strict_add}.py "$@"
