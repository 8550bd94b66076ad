"""The binding says the same as ``kernel/include/ukernel_abi.h``."""

from __future__ import annotations

import ctypes
import re
from typing import Any

import pytest
from conftest import HEADER

from ukernel import abi
from ukernel.abi import constants, structures
from ukernel.abi.signatures import HOST_SIGNATURES, SIGNATURES

_TEXT = re.sub(r"/\*.*?\*/", " ", HEADER.read_text(), flags=re.S)
BOUND = SIGNATURES | HOST_SIGNATURES

_NUMBERS: dict[str, Any] = {
    "u8": ctypes.c_uint8,
    "u16": ctypes.c_uint16,
    "u32": ctypes.c_uint32,
    "u64": ctypes.c_uint64,
    "i32": ctypes.c_int32,
    "i64": ctypes.c_int64,
    "size_t": ctypes.c_size_t,
    "time_ns": ctypes.c_uint64,
    "handle_t": ctypes.c_uint64,
    "result_t": ctypes.c_uint32,
}
_STRUCTURES: dict[str, type[ctypes.Structure]] = {
    "err_info_t": structures.ErrInfo,
    "task_stats_t": structures.TaskStats,
    "net_addr_v4_t": structures.NetAddrV4,
    "net_addr_v4_packed_t": structures.NetAddrV4Packed,
    "net_addr_v6_t": structures.NetAddrV6,
    "io_event_t": structures.IoEvent,
    "io_vec_t": structures.IoVec,
    "io_info_t": structures.IoInfo,
    "mem_usage_t": structures.MemUsage,
}


def declared() -> dict[str, list[str]]:
    """The header's functions with the types of their arguments."""
    found = {}
    for name, arguments in re.findall(r"\bresult_t\s+(\w+)\(([^;]*?)\);", _TEXT):
        words = [" ".join(argument.split()) for argument in arguments.split(",")]
        found[name] = [] if words == ["void"] else [re.sub(r"\s*\b\w+$", "", word) for word in words]
    return found


def bound_as(written: str) -> Any:
    """The ctypes type for an argument's type in C."""
    if written == "ptr_t":
        return ctypes.c_void_p
    if written.endswith("*"):
        target = written.removeprefix("const ").rstrip("* ")
        if target == "ptr_t":
            return ctypes.POINTER(ctypes.c_uint64)
        return ctypes.POINTER(_NUMBERS.get(target) or _STRUCTURES[target])
    return _NUMBERS[written]


def test_every_function_is_bound_with_its_types() -> None:
    functions = declared()
    assert len(functions) > 80, "the search for functions is broken"
    missing = {name for name in BOUND if name not in functions}
    assert missing == set(), "bound, but not in the header"
    for name, arguments in functions.items():
        assert name in BOUND, f"{name} is not bound"
        assert BOUND[name] == tuple(map(bound_as, arguments)), name


def test_every_function_has_a_method() -> None:
    for name in declared():
        assert callable(getattr(abi.Abi, name, None)), name


def enumerated() -> dict[str, int]:
    """The header's constants: of enums, and macros without arguments."""
    found: dict[str, int] = {}
    for body in re.findall(r"\benum\s*\{([^}]*)\}", _TEXT):
        for item in filter(None, map(str.strip, body.split(","))):
            name, value = map(str.strip, item.split("="))
            found[name] = eval(value, {}, found)
    for name, value in re.findall(r"^#define (\w+) (\S+)\s*$", _TEXT, flags=re.M):
        found[name] = eval(value)
    return found


def test_every_constant_has_its_value() -> None:
    numbers = enumerated()
    assert len(numbers) > 80, "the search for constants is broken"
    for name, value in numbers.items():
        assert getattr(abi, name) == value, name
    ours = {name for name in vars(constants) if name.isupper() and not name.startswith("_")}
    macros = set(re.findall(r"^#define (\w+)\(", _TEXT, flags=re.M)) | {"FOREVER"}
    assert ours - macros == set(numbers), "constants that the header does not have"


def test_every_macro_computes_the_same() -> None:
    macros = dict(re.findall(r"^#define ((?!UKERNEL)\w+\([\w, ]*\)) (.*)$", _TEXT, flags=re.M))
    assert len(macros) >= 5, "the search for macros is broken"
    for call, body in macros.items():
        name, names = call.rstrip(")").split("(")
        arguments = {argument.strip(): at + 3 for at, argument in enumerate(names.split(","))}
        in_c = re.sub(r"\((u32|u64)\)", "", re.sub(r"\b(\d+)(u|ull)\b", r"\1", body))
        assert getattr(abi, name)(*arguments.values()) == eval(in_c, {}, arguments), name


@pytest.mark.parametrize("name", sorted(_STRUCTURES))
def test_a_structure_has_the_headers_fields(name: str) -> None:
    fields = re.search(r"typedef struct \{([^}]*)\}\s*" + name + ";", _TEXT)
    assert fields, name
    expected = []
    for declaration in filter(None, map(str.strip, fields[1].split(";"))):
        kind, field, length = re.fullmatch(r"(\w+)\s+(\w+)(?:\[(\d+)\])?", declaration).groups()  # type: ignore[union-attr]
        number = ctypes.c_uint64 if kind == "ptr_t" else _NUMBERS[kind]
        expected.append((field, number * int(length) if length else number))
    assert _STRUCTURES[name]._fields_ == expected
    asserted = re.search(rf"sizeof\({name}\) == (\d+)", _TEXT)
    assert asserted
    assert ctypes.sizeof(_STRUCTURES[name]) == int(asserted[1])


def test_every_result_has_an_exception() -> None:
    results = {value for name, value in enumerated().items() if name.startswith("ERR_")}
    assert set(abi.errors.ERRORS) == results
