#!/bin/sh
# Builds the wheel and prints its path: wheel.sh [sdist] builds the source distribution instead.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH= cd -- "$here/../.." && pwd)
out=$root/build/python/dist
kind=${1:-wheel}

python=$("$here/venv.sh")
mkdir -p "$out"
log=$root/build/python/$kind.log
if [ "$kind" = sdist ]; then command=sdist pattern=tar.gz; else command=build pattern=whl; fi
rm -f "$out"/*."$pattern"
cd "$here"
"$(dirname "$python")/maturin" "$command" --out "$out" >"$log" 2>&1 ||
    { tail -n 20 "$log" >&2; printf 'python: maturin %s failed (%s)\n' "$command" "$log" >&2; exit 1; }
ls "$out"/*."$pattern"
