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

# Debian's own Python, with what it needs for virtual environments. Fails where it cannot be installed.
install_python() {
    command -v apt-get >/dev/null 2>&1 || return 1
    say "installing Python: apt-get install python3 python3-venv"
    if [ "$(id -u)" = 0 ]; then as_root=; else as_root="sudo -n"; fi
    for step in "install python3 python3-venv" "update" "install python3 python3-venv"; do
        # shellcheck disable=SC2086
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get -y --no-install-recommends $step >"$log" 2>&1 </dev/null || continue
        [ "$step" = update ] || return 0
    done
    return 1
}

log=$root/build/python/venv.log
mkdir -p "$root/build/python"
if ! "$python" -c "import venv, ensurepip" >/dev/null 2>&1; then
    [ "$python" = python3 ] && install_python ||
        fail "there is no $python with the modules venv and ensurepip; please install it, or name one in UKERNEL_PYTHON"
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "$python is Python $version; 3.11 or later is needed, UKERNEL_PYTHON can name one"

venv=$root/build/python/venv-$version
stamp=$venv/requirements.sum
wanted=$(cksum <"$here/requirements.txt")
if [ ! -f "$stamp" ] || [ "$(cat "$stamp")" != "$wanted" ]; then
    say "installing the packages of requirements.txt for Python $version into ${venv#"$root/"}"
    "$python" -m venv --clear "$venv" >"$log" 2>&1 || fail "$python -m venv failed ($log)"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --require-hashes -r "$here/requirements.txt" >>"$log" 2>&1 ||
        { tail -n 5 "$log" >&2; fail "pip failed ($log): is there a network?"; }
    printf '%s' "$wanted" >"$stamp"
fi
printf '%s\n' "$venv/bin/python"
