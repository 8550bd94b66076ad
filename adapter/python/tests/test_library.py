"""Which library is loaded, and what is said of one that is not the right one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import HEADER

import ukernel
from ukernel.abi import Abi, LibraryError, UkernelAbi, UnsupportedError, library
from ukernel.abi.constants import ERR_UNSUPPORTED

COMPILER = shutil.which("cc")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler")


def stub(folder: Path, *, version: str = "0, 3, 0", without: str = "", result: str = "ERR_UNSUPPORTED") -> Path:
    """A library of the header's functions that do nothing."""
    text = re.sub(r"/\*.*?\*/", " ", HEADER.read_text(), flags=re.S)
    functions = re.findall(r"\bresult_t\s+(\w+)\(([^;]*?)\);", text)
    bodies = {
        "abi_version": f"u32 n[] = {{{version}}}; *major = n[0]; *minor = n[1]; *patch = n[2]; return OK;",
        "abi_features": "*bitset_out = 0; return OK;",
    }
    source, made = folder / "stub.c", folder / "stub.so"
    lines = [f"result_t {name}({args}) {{ {bodies.get(name, f'return {result};')} }}" for name, args in functions]
    source.write_text("#include <ukernel_abi.h>\n" + "\n".join(line for line in lines if f" {without}(" not in line))
    assert COMPILER
    command = [COMPILER, "-shared", "-fPIC", f"-I{HEADER.parent}", str(source), "-o", str(made)]
    subprocess.run(command, check=True)
    return made


@needs_compiler
def test_another_version_is_one_clear_exception(tmp_path: Path) -> None:
    path = stub(tmp_path, version="1, 0, 0")
    with pytest.raises(LibraryError, match=r"stub\.so has version 1\.0\.0 .* needs 0\.3"):
        library.Library(path)
    older = stub(tmp_path, version="0, 2, 9")
    shutil.copy(older, tmp_path / "older.so")
    with pytest.raises(LibraryError, match=r"has version 0\.2\.9"):
        library.Library(tmp_path / "older.so")


@needs_compiler
def test_a_later_minor_version_is_taken(tmp_path: Path) -> None:
    assert library.Library(stub(tmp_path, version="0, 4, 7")).version == (0, 4, 7)


@needs_compiler
def test_a_kernel_without_what_loops_need_says_so(tmp_path: Path) -> None:
    """As in the guest, whose kernel is the only one."""
    kernel = Abi(library.Library(stub(tmp_path)))
    with pytest.raises(UnsupportedError, match="kernel_create"):
        ukernel.UkernelSelector(kernel)
    with pytest.raises(UnsupportedError, match="io_from_fd"):
        kernel.io_from_fd(0)


@needs_compiler
def test_a_library_without_a_function_is_named_with_it(tmp_path: Path) -> None:
    path = stub(tmp_path, without="interest_wait")
    with pytest.raises(LibraryError, match="it has no interest_wait"):
        library.Library(path)


def test_what_is_no_library_is_named(tmp_path: Path) -> None:
    path = tmp_path / "libukernel_abi.so"
    path.write_text("no library")
    with pytest.raises(LibraryError, match=re.escape(str(path))):
        library.Library(path)


def test_another_library_is_refused() -> None:
    import ctypes.util

    name = ctypes.util.find_library("c")
    assert name
    with pytest.raises(LibraryError, match="is no ukernel library"):
        library.Library(Path(name))


def test_the_variable_is_not_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UKERNEL_ABI_PATH", str(tmp_path / "missing.so"))
    with pytest.raises(LibraryError, match=r"\$UKERNEL_ABI_PATH names .*missing\.so"):
        library.find()


def test_importing_without_a_library_says_where_it_was_looked_for(tmp_path: Path) -> None:
    package = Path(library.__file__).parents[1]
    copied = tmp_path / "ukernel"
    shutil.copytree(package, copied, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    clean = {name: value for name, value in os.environ.items() if name not in ("UKERNEL_ABI_PATH", "PYTHONPATH")}
    command = [sys.executable, "-c", "import ukernel"]
    ended = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True)
    assert ended.returncode == 1
    assert f"there is no libukernel_abi.so in {copied}, {tmp_path}" in ended.stderr.splitlines()[-1]


def test_the_library_is_found_in_and_beside_the_package(tmp_path: Path) -> None:
    package = Path(library.__file__).parents[1]
    copied = tmp_path / "ukernel"
    shutil.copytree(package, copied, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    code = "from ukernel.abi.library import find; print(find())"
    clean = {name: value for name, value in os.environ.items() if name != "UKERNEL_ABI_PATH"}
    found = []
    for place in (tmp_path, copied):
        shutil.copy(library.load().path, place / "libukernel_abi.so")
        found.append(subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, env=clean, text=True).strip())
    assert found == [str(tmp_path / "libukernel_abi.so"), str(copied / "libukernel_abi.so")]


def test_the_originals_class_says_what_is_wrong(tmp_path: Path) -> None:
    abi = UkernelAbi(tmp_path / "missing.so")
    assert not abi.available
    assert abi.error
    assert "missing.so" in abi.error
    assert abi.cap_acquire(1) == (ERR_UNSUPPORTED, None)
    assert abi.cap_enter([]) == abi.cap_exit() == abi.log_write("text") == abi.io_poll(0) == ERR_UNSUPPORTED
    assert abi.time_now() == (ERR_UNSUPPORTED, 0)
