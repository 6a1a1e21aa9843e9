#!/bin/sh
# Writes requirements/*.lock anew: exact versions with hashes, and no address of the place they came from.
set -eu
cd "$(dirname "$0")/.."
tools/setup.sh run
uv=.cache/uv/bin/uv
[ -x "$uv" ] || { .venv/bin/python -m venv .cache/uv && .cache/uv/bin/pip install -q uv; }

lock() {
    target=$1
    shift
    "$uv" pip compile -q --upgrade --python-version 3.11 --python-platform linux --generate-hashes \
        --no-emit-index-url --no-emit-find-links --no-header --no-annotate "$@" -o "requirements/$target.lock"
}

echo 'setuptools>=77' >.cache/build.in
lock build .cache/build.in
lock runtime pyproject.toml
lock dev --all-extras pyproject.toml
