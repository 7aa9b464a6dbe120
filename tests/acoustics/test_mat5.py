import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import loadmat, savemat

from tselcli.acoustics.mat5 import read_mat5

ROOMS = np.zeros((1, 3), dtype=[("name", object), ("rirs", object)])
ROOMS["name"] = [["bomb shelter", "x", ""]]
ROOMS["rirs"] = [[np.arange(6.0).reshape(2, 3), np.zeros((0, 3)), np.int16([[-3]])]]
WHOLE = {
    "numbers": np.random.default_rng(0).standard_normal((3, 4, 2)),
    "small": np.uint8([[7]]),
    "single": np.float32([[0.5, -1]]),
    "text": np.array(["abc", "de "]),
    "cells": np.array([["left", np.int32([[1, 2]])]], dtype=object),
    "rooms": ROOMS,
}


def assert_alike(ours, theirs):
    assert ours.shape == theirs.shape
    assert ours.dtype.names == theirs.dtype.names
    if ours.dtype.names:
        for name in ours.dtype.names:
            assert_alike(ours[name], theirs[name])
    elif ours.dtype == object:
        for one, other in zip(ours.ravel(), theirs.ravel(), strict=True):
            assert_alike(np.asarray(one), np.asarray(other))
    else:
        assert ours.tolist() == theirs.tolist()


@pytest.mark.parametrize("compressed", [False, True])
def test_files_are_read_as_scipy_reads_them(tmp_path, compressed):
    path = tmp_path / "whole.mat"
    savemat(path, WHOLE, do_compression=compressed)
    ours, theirs = read_mat5(path), loadmat(path)
    assert list(ours) == list(WHOLE)
    for name, values in ours.items():
        assert_alike(values, theirs[name])
    assert ours["rooms"][0, 0]["rirs"][1, 2] == 5.0


def test_what_is_not_read_is_said(tmp_path):
    path = tmp_path / "odd.mat"
    savemat(path, {"z": np.array([[1j]])})
    with pytest.raises(ValueError, match="complex"):
        read_mat5(path)
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(300))
    with pytest.raises(ValueError, match="no MATLAB v5 file"):
        read_mat5(path)


def test_lengths_are_not_trusted(tmp_path):
    path = tmp_path / "large.mat"
    savemat(path, {"cells": np.array([["a"]], dtype=object)})
    content = bytearray(path.read_bytes())
    place = content.index(b"\x05\x00\x00\x00\x08\x00\x00\x00") + 8  # its dimensions
    content[place : place + 8] = b"\xff\xff\xff\x7f" * 2
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"4611686014132420609 cells in \d+ bytes"):
        read_mat5(path)


@given(data=st.data())
def test_damage_is_an_error_of_values(tmp_path_factory, damaged, data):
    path = tmp_path_factory.mktemp("mat") / "bad.mat"
    savemat(path, WHOLE, do_compression=data.draw(st.booleans()))
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    with contextlib.suppress(ValueError):
        read_mat5(path)
