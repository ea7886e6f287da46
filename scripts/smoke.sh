#!/usr/bin/env bash
# Builds wheel and sdist, then for every other Python found a wheel from the sdist, installs it into a fresh
# environment and takes the short tour there: once beside a hostile storage.py, once in the checkout, where
# the compiled part of another Python is no use and numpy does its work. In the first of them, the client's
# own wheel is installed beside it.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
work=$root/build/smoke
rm -rf "$work" build/lib build/bdist.* dist
mkdir -p "$work/hostile"
echo 'raise RuntimeError("the storage.py of the user was imported")' > "$work/hostile/storage.py"

.venv/bin/python -m build --outdir dist . > "$work/build.log" 2>&1 || { cat "$work/build.log" >&2; exit 1; }
.venv/bin/python scripts/check_dist.py dist
sdist=$(ls "$root"/dist/*.tar.gz)
.venv/bin/python scripts/build_client.py "$work/client"
client=$(ls "$work"/client/*.whl)

# Both distributions in one environment, in both orders, and one of them removed: `import chroma` always works.
beside() { # beside VENV, where the whole package is installed
    local python=$1/bin/python
    put() { "$python" -m pip install --disable-pip-version-check -q --no-deps --no-index "$1"; }
    drop() { "$python" -m pip uninstall --disable-pip-version-check -q -y "$1"; }
    try() { (cd "$work/hostile" && "$python" -W error "$root/scripts/smoke_client.py" "$1" "$url"); }
    put "$client" && try full && drop chroma-arrow && try thin && put "$wheel" && try full &&
        drop chroma-arrow-client && try full && put "$client" && drop chroma-arrow-client && try full &&
        put "$client" && drop chroma-arrow && put "$wheel" && drop chroma-arrow && try thin
}
.venv/bin/python -m chroma run --path "$work/db" --port 0 > "$work/server.out" 2> "$work/server.log" &
server=$!
trap 'kill $server 2> /dev/null || true; wait $server || true' EXIT
url=''
for _ in $(seq 300); do
    url=$(grep -o 'http://[^ ]*' "$work/server.out" | head -n 1 || true)
    [ -n "$url" ] && break
    kill -0 $server || { cat "$work/server.log" >&2; exit 1; }
    sleep 0.1
done

own=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
find_python() { # the first working interpreter of a version: on the PATH, else under pyenv
    local candidate
    for candidate in "$(command -v "python$1" || true)" "$HOME"/.pyenv/versions/"$1".*/bin/python; do
        if [ -n "$candidate" ] && [ -x "$candidate" ] &&
            [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null)" = "$1" ]; then
            echo "$candidate"
            return
        fi
    done
}

tried=0 failed=0 summary=()
others=(3.10 3.11 3.12 3.13 3.14)
for version in "${others[@]/$own/}" "$own"; do
    [ -n "$version" ] || continue
    if [ "$version" = "$own" ] && [ "$tried" -gt 0 ]; then continue; fi # the test suite ran on it
    python=$(find_python "$version")
    if [ -z "$python" ]; then
        summary+=("$version: not on this machine, not tried")
        continue
    fi
    echo "--- Python $version"
    venv=$work/venv-$version
    log=$work/$version.log
    tried=$((tried + 1))
    if ! { "$python" -m venv "$venv" && PYTHON=$python scripts/preflight.sh &&
        "$venv/bin/python" -m pip wheel --disable-pip-version-check -q --no-deps -w "$work/wheel-$version" "$sdist" &&
        wheel=$(ls "$work/wheel-$version"/*.whl) &&
        "$venv/bin/python" -m pip install --disable-pip-version-check -q --progress-bar off "$wheel"; } > "$log" 2>&1; then
        tail -n 40 "$log" >&2
        summary+=("$version: FAILED to install")
        failed=$((failed + 1))
        continue
    fi
    ok=1
    (cd "$work/hostile" && "$venv/bin/python" -W error "$root/scripts/smoke.py" installed) || ok=0
    (cd "$root" && "$venv/bin/python" -W error -W 'default:The compiled part of chroma' -c 'import runpy, sys; sys.path.insert(0, ""); sys.argv = ["smoke.py", "checkout"]; runpy.run_path("scripts/smoke.py", run_name="__main__")') || ok=0
    (cd "$work/hostile" && "$venv/bin/chroma" version) || ok=0
    [ "$tried" -gt 1 ] || beside "$venv" || ok=0
    if [ $ok = 1 ]; then summary+=("$version: ok"); else summary+=("$version: FAILED"); failed=$((failed + 1)); fi
    rm -rf "$venv"
done
echo "Smoke test of $(basename "$sdist") (the test suite ran on $own):"
printf '  %s\n' "${summary[@]}"
[ "$tried" -gt 0 ] && [ "$failed" = 0 ]
