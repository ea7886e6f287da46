#!/usr/bin/env bash
# Reports everything that is missing before anything is built, with Debian/Ubuntu package names.
set -uo pipefail
python=${PYTHON:-python3}
packages=()
problems=()

need() { # need PACKAGE PROBLEM
    packages+=("$1")
    problems+=("$2")
}

if ! command -v "$python" > /dev/null || ! "$python" -c '' 2> /dev/null; then
    need python3 "no Python interpreter '$python'"
    need python3-venv 'no venv module (cannot be tried without Python)'
    need python3-dev 'no Python headers (cannot be looked for without Python)'
elif ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "$("$python" --version) at '$python' is too old: 3.10 or later is needed." >&2
    echo 'Choose another with: make PYTHON=/path/to/python3.12 ...' >&2
    exit 1
else
    "$python" -c 'import venv, ensurepip' 2> /dev/null ||
        need python3-venv "$("$python" --version) has no venv or ensurepip module"
    header=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')/Python.h
    [ -f "$header" ] || need python3-dev "the Python headers are missing ($header)"
fi
command -v "${CXX:-g++}" > /dev/null || command -v c++ > /dev/null ||
    need g++ 'no C++ compiler (hnswlib and a part of the engine are compiled when they are installed)'

[ ${#problems[@]} -eq 0 ] && exit 0
echo 'This machine lacks something that the installation needs:' >&2
printf '  - %s\n' "${problems[@]}" >&2
echo 'On Debian and Ubuntu:' >&2
echo "    sudo apt-get update && sudo apt-get install -y ${packages[*]}" >&2
echo '(For a Python that is not the system one, use the packages of its version, e.g. python3.12-dev.' >&2
echo 'On macOS: xcode-select --install, and Python from python.org or Homebrew.)' >&2
exit 1
