#!/usr/bin/env bash
# Prepares what tests/clients/ and tests/chroma/migration/ are about: the clients and the server of Chroma, libraries and
# programs on top of them, and older releases whose folders are moved in, each in an environment of its own under
# build/clients. Does nothing where that is done already.
#   scripts/clients.sh           prepare what is missing
#   scripts/clients.sh --lock    renew requirements/clients*.txt, the versions of everything they depend on
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
python=${PYTHON:-python3}
home=build/clients
locked=requirements/clients.txt

# The releases that the contract was taken from; CONTRIBUTING.md says what each is for.
full=(chromadb==1.5.9 langchain-chroma==1.1.0 llama-index-vector-stores-chroma==0.6.0)
thin=(chromadb-client==1.5.9)
node=(chromadb@3.5.0 @chroma-core/chroma-bm25@0.1.10)
older=(0.4.24 0.6.3 1.0.20) # releases of chromadb; each wrote another kind of folder

# Programs that use chromadb, which this package answers for them. chroma-mcp wants releases of mcp and pydantic that the
# others do not have.
programs=(
    agno==3.1.10
    autogen-agentchat==0.7.5 'autogen-ext[chromadb]==0.7.5'
    chroma-haystack==5.0.0
    crewai==1.15.30
    mem0ai==2.2.1
    mempalace==3.11.0
    praisonaiagents==1.7.17
    'semantic-kernel[chroma]==1.45.0'
    vanna==2.0.2
)
mcp=(chroma-mcp==0.2.6 'pydantic<2.12')
left_out=(chromadb av lancedb pyarrow scipy) # half of the bytes, and never imported by the tests

version=$("$python" -c 'import sys; print("Python %d.%d" % sys.version_info[:2])')
constraints=()
if [ "${1:-}" = --lock ]; then
    rm -rf "$home/full" "$home/thin" "$home/programs" "$home/mcp" "$home"/chromadb-*
elif grep -qx "# $version" "$locked" 2> /dev/null; then
    constraints=(-c "$root/$locked")
else
    echo "$locked is for another Python: taking the newest versions that fit this one."
fi
mkdir -p "$home"
identity="$("$python" -c 'import sys; print(sys.version, sys.base_prefix)') $root"
lock_digest=$(cat "$locked" 2> /dev/null | cksum || true)

environment() { # environment NAME REQUIREMENT…
    local place=$home/$1 stamp
    stamp="$identity ${*:2} $lock_digest"
    if [ "$(cat "$place/installed" 2> /dev/null)" = "$stamp" ]; then return; fi
    echo "Installing ${*:2} into $place ..."
    "$python" -m venv --clear "$place"
    if ! "$place/bin/python" -m pip install --disable-pip-version-check --progress-bar off -q \
        "${@:2}" ${constraints[@]+"${constraints[@]}"} > "$place/install.log" 2>&1; then
        cat "$place/install.log" >&2
        exit 1
    fi
    printf '%s\n' "$stamp" > "$place/installed"
}

environment full "${full[@]}"
environment thin "${thin[@]}"

# An environment without chromadb: a distribution without files stands in its place while pip chooses the versions, so
# that its dependencies, among them kubernetes and grpc, are not installed. The locked versions need no choosing. This
# package and what it depends on come last on the path.
with_us() { # with_us NAME REQUIREMENT…
    local place=$home/$1 locked=requirements/clients-$1.txt stamp stand_in
    stamp="$identity ${*:2} $(cat "$locked" 2> /dev/null | cksum || true)"
    if [ "$(cat "$place/installed" 2> /dev/null)" = "$stamp" ]; then return; fi
    echo "Installing ${*:2} into $place ..."
    "$python" -m venv --clear "$place"
    stand_in=$place/chromadb-${full[0]#*==}-py3-none-any.whl
    "$python" - "$stand_in" << 'PYTHON'
import sys, zipfile
name, version = sys.argv[1].rpartition("/")[2].split("-")[:2]
with zipfile.ZipFile(sys.argv[1], "w") as wheel:
    info = f"{name}-{version}.dist-info"
    wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    wheel.writestr(f"{info}/RECORD", "".join(f"{info}/{file},,\n" for file in ("METADATA", "WHEEL", "RECORD")))
PYTHON
    local chosen=("$stand_in" "${@:2}")
    if grep -qx "# $version" "$locked" 2> /dev/null; then chosen=("$stand_in" --no-deps -r "$locked"); fi
    if ! "$place/bin/python" -m pip install --disable-pip-version-check --progress-bar off -q --no-compile \
        "${chosen[@]}" > "$place/install.log" 2>&1; then
        cat "$place/install.log" >&2
        exit 1
    fi
    "$place/bin/python" - "$root" << 'PYTHON'
import pathlib, sys, sysconfig
here, root = pathlib.Path(sysconfig.get_path("purelib")), pathlib.Path(sys.argv[1])
(here / "chroma-arrow.pth").write_text(f"{root}\n{root / '.venv' / here.relative_to(sys.prefix)}\n")
PYTHON
    printf '%s\n' "$stamp" > "$place/installed"
}
if [ "${1:-}" = --lock ]; then rm -f requirements/clients-programs.txt requirements/clients-mcp.txt; fi
with_us programs "${programs[@]}"
with_us mcp "${mcp[@]}"

# The oldest have no wheels for the newest Python; that alone does not stop the rest.
old_locked() { echo "requirements/clients-chromadb-$1.txt"; }
for release in "${older[@]}"; do
    constraints=()
    if [ "${1:-}" != --lock ] && grep -qx "# $version" "$(old_locked "$release")" 2> /dev/null; then
        constraints=(-c "$root/$(old_locked "$release")")
    fi
    lock_digest=$(cat "$(old_locked "$release")" 2> /dev/null | cksum || true)
    numpy=(numpy)
    if [[ $release == 0.4.* ]]; then numpy=('numpy<2'); fi
    (environment "chromadb-$release" "chromadb==$release" "${numpy[@]}") ||
        echo "chromadb $release cannot be installed with $version: tests/chroma/migration/ does without it, or fails." >&2
done

if [ "${1:-}" = --lock ]; then
    {
        echo '# Versions of the foreign clients of tests/clients/. Renew with: scripts/clients.sh --lock'
        echo "# $version"
        for name in full thin; do
            "$home/$name/bin/python" -m pip --disable-pip-version-check freeze --exclude pip --exclude setuptools
        done | sort -u -f
    } > "$locked.new"
    mv "$locked.new" "$locked"
    for release in "${older[@]}"; do
        {
            echo "# Versions for folders of chromadb $release in tests/chroma/migration/. Renew with: scripts/clients.sh --lock"
            echo "# $version"
            "$home/chromadb-$release/bin/python" -m pip --disable-pip-version-check freeze --exclude pip \
                --exclude setuptools
        } > "$(old_locked "$release")"
    done
    for name in programs mcp; do
        rm "$home/$name"/lib/python*/site-packages/chroma-arrow.pth
        {
            echo "# Versions of build/clients/$name for tests/clients/. Renew with: scripts/clients.sh --lock"
            echo "# $version"
            "$home/$name/bin/python" -m pip --disable-pip-version-check freeze --exclude pip --exclude setuptools \
                "${left_out[@]/#/--exclude=}"
        } > "requirements/clients-$name.txt"
    done
    rm -f "$home"/{full,thin,programs,mcp,chromadb-*}/installed # made from other constraints
    exit 0
fi

if ! command -v node > /dev/null || ! command -v npm > /dev/null; then
    echo 'Node.js is missing (Debian, Ubuntu: apt-get install nodejs npm); the JavaScript client cannot be tried.' >&2
    exit 1
fi
if [ "$(cat "$home/node/installed" 2> /dev/null)" != "${node[*]}" ]; then
    echo "Installing ${node[*]} into $home/node ..."
    rm -rf "$home/node"
    mkdir -p "$home/node"
    (cd "$home/node" && echo '{"private": true}' > package.json &&
        npm install --silent --no-audit --no-fund --no-package-lock --omit=optional "${node[@]}")
    printf '%s\n' "${node[*]}" > "$home/node/installed"
fi
echo "The foreign clients are in $home."
