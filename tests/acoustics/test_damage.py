"""Measured responses that are damaged are refused in one line."""

import contextlib
import io
import itertools
import shutil

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

from tselcli.acoustics.measured import open_bank
from tselcli.acoustics.sofa import read_sofa_array
from tselcli.errors import DataError

NUMBERS = itertools.count()  # HDF5 remembers files by their names
MICS = [[0.05, 0, 0], [-0.05, 0, 0], [0, 0.05, 0]]


@pytest.fixture
def whole(write_sofa):
    places = [[2.0, 0, 0], [0, 2.0, 0], [-2.0, 0, 0]]
    responses = np.random.default_rng(0).standard_normal((3, 3, 60))
    return write_sofa(
        "whole.sofa",
        Data_IR=responses,
        ReceiverPosition=(MICS, "cartesian"),
        SourcePosition=(places, "cartesian"),
        ListenerPosition=([[0.0, 0, 0]], "cartesian"),
    )


def read_all(path):
    """Open responses and read the first and the last of each track; may be refused."""
    try:
        bank = open_bank(path)
        for track in bank.tracks:
            rirs = bank.rirs(track, [0, len(track.azimuth_deg) - 1])
            assert np.isfinite(rirs).all()
    except DataError as error:
        return str(error)
    return ""


def test_the_whole_files_are_read(whole, tau):
    assert read_all(whole) == ""
    assert read_all(tau) == ""


@given(data=st.data())
def test_sofa_files(whole, damaged, data):
    path = whole.with_name(f"bad-{next(NUMBERS)}.sofa")
    path.write_bytes(data.draw(damaged(whole.read_bytes())))
    read_all(path)
    with contextlib.suppress(DataError):
        read_sofa_array(path)
    path.unlink()


def compressed(path):
    """Read a file; MATLAB v5 as MATLAB itself writes it, where damage shows in a checksum.

    scipy reads what is not compressed without checks, and some damage ends the whole process.
    """
    if path.name.startswith("rirs_"):
        return path.read_bytes()
    content = {key: value for key, value in scipy.io.loadmat(path).items() if key[0] != "_"}
    stream = io.BytesIO()
    scipy.io.savemat(stream, content, do_compression=True)
    return stream.getvalue()


@given(data=st.data(), name=st.sampled_from(["rirdata.mat", "measinfo.mat", "rirs_02_gym.mat"]))
def test_matlab_files(tau, damaged, data, name):
    folder = tau.parent / f"bad-{next(NUMBERS)}"
    shutil.copytree(tau, folder)
    whole = compressed(tau / name)
    (folder / name).write_bytes(data.draw(damaged(whole)))
    read_all(folder)
    shutil.rmtree(folder)
