import numpy as np
import pytest
from pyroomacoustics import libroom

from tselcli.acoustics.pulses import STEPS, count_pulses, filter_grid, table

LENGTH = 3000  # several blocks of the filter


def test_the_table_is_that_of_pyroomacoustics():
    theirs = np.zeros((STEPS + 1, 81), dtype=np.float32)
    libroom.fractional_delay(theirs, (1 - np.arange(STEPS + 1) / STEPS).astype(np.float32), 20, 1)
    assert table() == pytest.approx(theirs, abs=3e-7)


def test_pulses_together_are_the_pulses_one_by_one():
    rng = np.random.default_rng(0)
    samples = rng.uniform(0, LENGTH - 2, 400).astype(np.float32)
    gain = rng.standard_normal(400).astype(np.float32)
    grid = np.zeros((LENGTH, STEPS + 1), dtype=np.float32)
    count_pulses(grid, samples, gain)
    expected = np.zeros(LENGTH + 80, dtype=np.float32)
    libroom.rir_builder(expected, ((samples + 40) / 8000).astype(np.float32), gain, 8000, 81, 20, 1)
    assert np.abs(filter_grid(grid) - expected).max() <= 1e-3 * np.abs(expected).max()
    exact = np.zeros(LENGTH + 80)
    for sample, height in zip(samples.astype(float), gain, strict=True):
        whole = int(sample)
        steps = (1 - (sample - whole)) * STEPS
        row = int(steps)
        share = steps - row
        taps = (1 - share) * table()[row] + share * table()[min(row + 1, STEPS)]
        exact[whole : whole + 81] += height * taps
    assert np.linalg.norm(filter_grid(grid) - exact) <= 2e-6 * np.linalg.norm(exact)


@pytest.mark.parametrize("sample", [0.0, 7.0, 943.0, 2998.0])
def test_a_pulse_on_a_sample_stands_there(sample):
    grid = np.zeros((LENGTH, STEPS + 1), dtype=np.float32)
    count_pulses(grid, np.array([sample], dtype=np.float32), np.array([2.0], dtype=np.float32))
    assert grid.sum() == 2.0
    response = filter_grid(grid)
    assert response.argmax() == sample + 40
    assert response[int(sample) + 40] == pytest.approx(2.0, rel=1e-5)
    assert np.abs(np.delete(response, int(sample) + 40)).max() < 2e-3
