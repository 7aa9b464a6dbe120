"""Tables of MATLAB v5 files, from strangers: what is read stays within the bytes that are there.

    header 128 | tag, data | tag, data ...      tag: type and length, 8 bytes; data padded to 8
    matrix  =  flags | dimensions | name | values, or cells, or fields of a struct

Numbers, text, cells and structs are read, compressed or not, as ``scipy.io.loadmat`` lays them
out. That one reads in C and trusts lengths: damaged files can end the whole process.

Source: MathWorks, "MAT-File Format", version 5.
"""

import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

HEADER, TAG = 128, 8
MATRIX, COMPRESSED = 14, 15
NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8"}
NUMBERS |= {13: "u8", 16: "u1", 17: "u2", 18: "u4"}
CELL, STRUCT, TEXT = 1, 2, 4
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4"}
CLASSES |= {14: "i8", 15: "u8"}
COMPLEX = 0x0800
MOST_BYTES = 1 << 28  # after decompression
DEEPEST = 16

Array = npt.NDArray[Any]
Element = tuple[int, memoryview]  # type and data


def read_mat5(path: Path) -> dict[str, Array]:
    """Read all variables of a MATLAB v5 file.

    Returns:
        By name: numbers as they are, text as an array of its rows, cells as an array of objects,
        structs as a structured array of objects.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is of another kind, cut, damaged, or holds other things.
    """
    content = path.read_bytes()
    if len(content) < HEADER + TAG or content[124:128] != b"\x00\x01IM":
        raise ValueError("no MATLAB v5 file with little-endian numbers")
    found, rest = {}, memoryview(content)[HEADER:]
    while len(rest):
        (kind, data), rest = _next(rest)
        if kind == COMPRESSED:
            (kind, data), _ = _next(_unpacked(data))
        if kind != MATRIX:
            raise ValueError(f"element of type {kind} where a variable should be")
        name, value = _matrix(data, 0)
        found[name] = value
    return found


def _unpacked(data: memoryview) -> memoryview:
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, MOST_BYTES)
    except zlib.error as error:
        raise ValueError(f"compressed data is damaged ({error})") from error
    if not stream.eof:
        raise ValueError("compressed data is cut, or too much")
    return memoryview(content)


def _next(rest: memoryview) -> tuple[Element, memoryview]:
    """Take the next element; gives it and what follows."""
    if len(rest) < TAG:
        raise ValueError("cut within a tag")
    kind, size = (int(word) for word in np.frombuffer(rest[:TAG], "<u4"))
    if kind >> 16:  # a small element: data within the tag
        size = kind >> 16
        if size > 4:
            raise ValueError(f"small element of {size} bytes")
        return (kind & 0xFFFF, rest[4 : 4 + size]), rest[TAG:]
    if size > len(rest) - TAG:
        raise ValueError(f"element of {size} bytes where {len(rest) - TAG} are left")
    padded = size if kind == COMPRESSED else size + -size % 8
    return (kind, rest[TAG : TAG + size]), rest[TAG + padded :]


def _numbers(element: Element) -> Array:
    kind, data = element
    if kind not in NUMBERS:
        raise ValueError(f"element of type {kind} where numbers should be")
    return np.frombuffer(data, "<" + NUMBERS[kind])


def _matrix(data: memoryview, depth: int) -> tuple[str, Array]:
    """Read a matrix of any class: its name and its values."""
    if not len(data):
        return "", np.zeros((0, 0))
    if depth > DEEPEST:
        raise ValueError("cells within cells without end")
    flags, rest = _next(data)
    size, rest = _next(rest)
    title, rest = _next(rest)
    word = _numbers(flags)
    shape = tuple(int(side) for side in _numbers(size))
    if len(word) != 2 or len(shape) < 2 or min(shape) < 0:
        raise ValueError("a matrix without a class, or with odd dimensions")
    kind, is_complex = int(word[0]) & 0xFF, bool(int(word[0]) & COMPLEX)
    name = bytes(title[1]).decode("ascii", errors="replace")
    if kind == CELL:
        return name, _cells(rest, shape, [""], depth)[""]
    if kind == STRUCT:
        return name, _struct(rest, shape, depth)
    if (kind not in CLASSES and kind != TEXT) or is_complex:
        raise ValueError(f"a matrix of class {kind}, or of complex numbers")
    element, _ = _next(rest)
    values = _numbers(element)
    if kind == TEXT:
        return name, _text(values, shape)
    if len(values) != math.prod(shape):
        raise ValueError(f"{len(values)} values for dimensions {shape}")
    return name, values.astype(CLASSES[kind]).reshape(shape, order="F")


def _text(codes: Array, shape: tuple[int, ...]) -> Array:
    """Join characters (rows, columns), column after column, to one string for each row."""
    if len(codes) != math.prod(shape) or codes.dtype.itemsize > 2:
        raise ValueError(f"{len(codes)} characters for dimensions {shape}")
    if not len(codes):
        return np.array([], dtype="<U1")
    rows = codes.reshape(shape, order="F").reshape(shape[0], -1)
    return np.array(["".join(map(chr, row)) for row in rows.tolist()])


def _cells(
    rest: memoryview, shape: tuple[int, ...], names: list[str], depth: int
) -> dict[str, Array]:
    """Read cells, or the fields of structs: of each place all names, column after column."""
    count = math.prod(shape)
    if count * len(names) * TAG > len(rest):
        raise ValueError(f"{count} cells in {len(rest)} bytes")
    columns = {name: np.empty(count, dtype=object) for name in names}
    for place in range(count):
        for name in names:
            (kind, data), rest = _next(rest)
            if kind != MATRIX:
                raise ValueError(f"element of type {kind} where a cell should be")
            columns[name][place] = _matrix(data, depth + 1)[1]
    return {name: column.reshape(shape, order="F") for name, column in columns.items()}


def _struct(rest: memoryview, shape: tuple[int, ...], depth: int) -> Array:
    width, rest = _next(rest)
    titles, rest = _next(rest)
    (length,) = _numbers(width)
    text = bytes(titles[1])
    if length < 1 or len(text) % length:
        raise ValueError("a struct without names for its fields")
    parts = [text[first : first + int(length)] for first in range(0, len(text), int(length))]
    names = [part.split(b"\0")[0].decode("ascii", errors="replace") for part in parts]
    fields = _cells(rest, shape, names, depth)
    if len(fields) != len(names) or "" in fields:
        raise ValueError("a struct with two fields of one name, or without names")
    found = np.empty(shape, dtype=[(name, object) for name in names])
    for name, column in fields.items():
        found[name] = column
    return found
