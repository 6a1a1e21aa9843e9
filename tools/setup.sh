#!/bin/sh
# Makes this machine able to run a target of the Makefile: Debian packages, then .venv.
#
#   tools/setup.sh [run|test|bench]
#
# A second run finds everything in place and ends in well under a second: packages are looked up, not
# remembered, because a stamp would lie after somebody removes one; .venv is compared with a checksum of
# what it was made from. As root on a Debian machine missing packages are installed, elsewhere they are
# named.
set -eu

goal=${1:-run}
cd "$(dirname "$0")/.."
mkdir -p .cache
exec 9>.cache/setup.lock
flock 9
log=.cache/setup.log
export DEBIAN_FRONTEND=noninteractive PIP_DISABLE_PIP_VERSION_CHECK=1

quietly() {
    "$@" >>"$log" 2>&1 && return
    echo "setup: failed: $* (the end of $log follows)" >&2
    tail -n 25 "$log" >&2
    exit 1
}

wanted() {
    for list in "$@"; do sed 's/#.*//' "requirements/debian-$list.txt"; done | tr -s ' \t\n' ' '
}

missing() {
    present=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' "$@" 2>/dev/null | sed -n 's/^installed //p')
    for package in "$@"; do
        printf '%s\n' "$present" | grep -qxF "$package" || printf '%s ' "$package"
    done
}

install_packages() {
    command -v dpkg-query >/dev/null || return 0
    absent=$(missing $(wanted "$@"))
    [ -n "$absent" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "setup: not root, so these stay absent: $absent" >&2
        return 0
    fi
    echo "setup: installing $absent" >&2
    case " $absent" in *' postgresql '*) without_cluster ;; esac
    # An old package list names versions that the mirror no longer has: then refresh it and try once more.
    apt-get install -qq --no-install-recommends $absent >>"$log" 2>&1 9>&- && return 0
    quietly apt-get update -qq
    quietly apt-get install -qq --no-install-recommends $absent
}

# Debian's PostgreSQL makes a cluster of its own when it is installed, and starts it at every boot. Its documented
# switch against that has to be there before, and is there only until this script ends.
without_cluster() {
    switch=/etc/postgresql-common/createcluster.d/servha-setup.conf
    trap 'rm -f "$switch"; rmdir --ignore-fail-on-non-empty "${switch%/*}"' EXIT
    trap 'exit 1' HUP INT TERM
    mkdir -p "${switch%/*}"
    echo 'create_main_cluster = false' >"$switch"
}

python_to_use() {
    for python in /usr/bin/python3.11 python3.11 python3; do
        "$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        command -v "$python"
        return
    done
    echo "setup: Python 3.11 with venv is needed: apt-get install python3-venv" >&2
    exit 1
}

make_venv() {
    python=$(python_to_use)
    kind=$(echo "$python $PWD"; "$python" -V)
    # Of pyproject.toml only what describes the package: a changed lint rule is no reason to install anew.
    recipe=$({ echo "$kind"; sed '/^\[tool\./,$d' pyproject.toml; cat requirements/*.lock; } | sha256sum)
    [ "$(cat .venv/recipe 2>/dev/null)" = "$recipe" ] && return 0
    echo "setup: filling .venv with $python" >&2
    if [ "$(cat .venv/kind 2>/dev/null)" != "$kind" ]; then
        rm -rf .venv
        quietly "$python" -m venv .venv
    fi
    # setuptools first: one of the packages comes as source, and is built with what is locked here.
    quietly .venv/bin/python -m pip install -q --require-hashes -r requirements/build.lock
    quietly .venv/bin/python -m pip install -q --require-hashes --no-build-isolation --use-pep517 \
        -r requirements/dev.lock
    quietly .venv/bin/python -m pip install -q --no-deps --no-build-isolation --editable .
    echo "$kind" >.venv/kind
    echo "$recipe" >.venv/recipe
}

: >"$log"
case $goal in
    run) install_packages run ;;
    test)
        install_packages run test
        # It comes with the OCF agents, and Debian enables it; agents write their log without it.
        systemctl disable --now logd >>"$log" 2>&1 || true
        ;;
    bench)
        install_packages run test bench
        # Debian enables what it installs; here keepalived only ever runs inside a lab.
        systemctl disable --now keepalived >>"$log" 2>&1 || true
        ;;
    *) echo "setup: unknown goal $goal (run, test or bench)" >&2; exit 2 ;;
esac
make_venv
