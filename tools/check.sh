#!/bin/sh
# Everything that can be said about the code without running a node: layout, types, imports, tables.
# Every part runs, also after one has failed, so that one call shows all there is to mend. `check.sh code` leaves
# the tables out, for `make test`, which comes to them anyway. The mutations of test_guards.py take minutes and are
# for `make test` alone.
set -u
cd "$(dirname "$0")/.."
failed=0

part() {
    name=$1
    shift
    if output=$("$@" 2>&1); then
        return
    fi
    failed=1
    printf -- '--- %s\n%s\n' "$name" "$output"
}

bin=.venv/bin
part "ruff check" $bin/ruff check -q .
part "ruff format (make format mends it)" $bin/ruff format --check .
part "mypy" $bin/mypy
part "who imports whom" $bin/lint-imports --no-logo
[ -d tests/core ] && part "tables" $bin/python -m pytest -q -x --no-header tests/core --ignore=tests/core/test_guards.py --ignore=tests/core/test_explore.py
[ $failed = 0 ] && echo "check: clean"
exit $failed
