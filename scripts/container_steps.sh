#!/bin/sh
# Runs the steps of deploy/Dockerfile without an engine for containers: builds the wheel from what
# .dockerignore lets in, installs it into an empty prefix, starts it as a user without rights on code that
# it cannot write, asks for its health, and checks that SIGTERM drains it and that its data survive.
# Needs root, because it starts the server as another user,
# who has to reach $PYTHON. Usage: scripts/container_steps.sh [WORKDIR]
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
work=${1:-$(mktemp -d)}
python=${PYTHON:-python3}
port=${PORT:-18765}
src=$work/src opt=$work/opt data=$work/data
mkdir -p "$src/deploy" "$work/wheels"
chmod 755 "$work"

echo "== build"
for name in pyproject.toml setup.py MANIFEST.in README.md LICENSE NOTICE chroma storage; do
    (cd "$root" && tar --exclude=__pycache__ --exclude='*.so' -cf - "$name") | tar -C "$src" -xf -
done
cp "$root/deploy/healthcheck.py" "$src/deploy/"
(cd "$src" && "$python" -m pip wheel --quiet --no-cache-dir --no-deps --wheel-dir "$work/wheels" .)
"$python" -m venv "$opt"
HNSWLIB_NO_NATIVE=1 "$opt/bin/pip" install --quiet --no-compile "$work"/wheels/*.whl
"$opt/bin/pip" uninstall --quiet --yes pip
"$opt/bin/python" -m compileall -q --invalidation-mode unchecked-hash "$opt/lib"
cp "$src/deploy/healthcheck.py" "$opt/"
chmod -R a-w,a+rX "$opt"
du -sh "$work"/wheels/*.whl "$opt"

echo "== run"
install --directory --owner 10001 --group 10001 --mode 0700 "$data"
exec_user() {
    exec setpriv --reuid 10001 --regid 10001 --clear-groups --no-new-privs --bounding-set=-all \
        env -i PATH="$opt/bin:/usr/bin:/bin" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/nonexistent \
        CHROMA_PATH="$data" CHROMA_HOST=0.0.0.0 CHROMA_PORT="$port" CHROMA_LOG_FORMAT=json "$@"
}
as_user() { (exec_user "$@"); }
start() {
    exec_user CHROMA_AUTH_TOKEN=a-token-of-the-test-of-the-container "$opt/bin/chroma" run >>"$work/log" 2>&1 &
    pid=$!
    for _ in $(seq 100); do
        if as_user "$opt/bin/python" "$opt/healthcheck.py" >/dev/null; then return; fi
        sleep 0.2
    done
    cat "$work/log"
    exit 1
}
code=0
as_user "$opt/bin/chroma" run >"$work/open.log" 2>&1 || code=$?
test "$code" = 2 # without credentials, it refuses an address that others reach
start
as_user touch "$opt/written" 2>/dev/null && { echo "the code can be written"; exit 1; }
client() {
    as_user "$opt/bin/python" - "$1" <<'PYTHON'
import os, sys
import chroma
with chroma.HttpClient("http://127.0.0.1:" + os.environ["CHROMA_PORT"],
                       headers={"Authorization": "Bearer a-token-of-the-test-of-the-container"}) as client:
    things = client.get_or_create_collection("things")
    if sys.argv[1] == "write":
        things.add(ids=["a", "b"], documents=["a red boat", "a blue car"])
    assert things.count() == 2
    assert things.query(query_texts=["ship"], n_results=1)["ids"] == [["a"]]
PYTHON
}
client write
echo "== SIGTERM"
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
test "$code" = 0
start
client read
kill -TERM "$pid"
wait "$pid"
test -z "$(find "$opt" -newer "$work/open.log" -type f | head -1)" # nothing in the prefix was written
echo "the steps of the container pass"
