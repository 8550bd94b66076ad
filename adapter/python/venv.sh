#!/bin/sh
# Makes build/python/venv with the pinned packages of requirements.txt, and prints the path of its Python.
# A second run with the same file and the same Python does nothing.
#
# UKERNEL_PYTHON chooses the Python: 3.11 or later.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH= cd -- "$here/../.." && pwd)
python=${UKERNEL_PYTHON:-python3}

say() { printf '%s\n' "python: $*" >&2; }
fail() { say "$@"; exit 1; }

command -v "$python" >/dev/null 2>&1 || fail "there is no $python; please install Python 3.11 or later, or name one in UKERNEL_PYTHON"
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$python is Python $version; 3.11 or later is needed, UKERNEL_PYTHON can name one"

venv=$root/build/python/venv-$version
stamp=$venv/requirements.sum
wanted=$(cksum <"$here/requirements.txt")
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
    say "installing the packages of requirements.txt for Python $version into ${venv#"$root/"}"
    mkdir -p "$venv"
    log=$root/build/python/venv.log
    "$python" -m venv --clear "$venv" >"$log" 2>&1 ||
        fail "$python -m venv failed ($log); on Debian it is the package python3-venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$here/requirements.txt" >>"$log" 2>&1 ||
        { tail -n 5 "$log" >&2; fail "pip failed ($log): is there a network?"; }
    printf '%s' "$wanted" >"$stamp"
fi
printf '%s\n' "$venv/bin/python"
