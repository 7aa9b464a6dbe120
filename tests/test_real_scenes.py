from pathlib import Path

import numpy as np
import pytest
import soundfile

from tselcli.breakdowns import break_down
from tselcli.commands.eval import evaluate
from tselcli.dataset import Trial
from tselcli.errors import DataError
from tselcli.real_scenes import is_starss, starss_trials

RATE = 24_000


@pytest.fixture
def folder(tmp_path):
    """A recording of 10 s: a woman walks from +20 to -20 degrees while a phone rings."""
    rows = [(frame, 0, 1, 20 - frame, 5, 150) for frame in range(10, 50)]
    rows += [(frame, 3, 0, -179, 0, 300) for frame in range(30, 60)]
    for kind in ("metadata_dev", "mic_dev"):
        (tmp_path / kind / "dev-test-tau").mkdir(parents=True)
    name = "dev-test-tau/fold4_room1_mix001"
    text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    (tmp_path / "metadata_dev" / f"{name}.csv").write_text(text)
    noise = 0.1 * np.random.default_rng(0).standard_normal((10 * RATE, 4))
    soundfile.write(tmp_path / "mic_dev" / f"{name}.wav", noise, RATE)
    return tmp_path


def test_a_window_becomes_a_trial_with_labels_per_frame(folder):
    total, trials = starss_trials(Path(f"starss:{folder}"), "test")
    woman, phone = trials
    assert total == 2
    assert isinstance(woman, Trial)
    assert woman.query == "a woman speaking"
    assert woman.signal.shape == (4, 10 * RATE)
    assert woman.array.name == "tetra:0.042"
    assert woman.frames.moves
    assert woman.frames.target_deg[[0, 10, 49, 99]].tolist() == [10, 10, -29, -29]
    assert np.flatnonzero(woman.frames.active).tolist() == list(range(10, 50))
    assert np.flatnonzero(woman.frames.others_active[:, 0]).tolist() == list(range(30, 60))
    assert woman.azimuth_deg == pytest.approx(-9.5)
    assert woman.others_deg == pytest.approx((-179,))
    assert woman.scene.sources[0].distance_m == pytest.approx(1.5)
    assert phone.query == "a telephone ringing"


def test_a_model_is_scored_on_the_frames_of_a_real_recording(folder):
    result = evaluate("mask-compact", data=Path(f"starss:{folder}"), device="cpu")
    systems = {row["system"]: row for row in result["rows"]}
    model, ignorant = result["rows"][:2]
    assert "SRP-PHAT, oracle ratio mask" not in systems  # nobody knows it
    assert model["scenes"] == ignorant["scenes"] == 2
    assert (ignorant["lr_cd"], ignorant["selection"] is None) == (1, False)
    assert len(result["tracks"][0]["target_deg"]) == 100
    assert result["clip_rows"][0]["scenes"] == 2
    assert result["presence"] is None  # nobody knows words for what is absent
    assert [row["bin"] for row in break_down(result, ["level"])["level"]] == ["unknown"]


def test_which_data_is_starss():
    assert is_starss(Path("starss:x/y"))
    assert is_starss(Path("starss-foa:x"))
    assert not is_starss(Path("scenes/test"))
    assert not is_starss(None)


def test_ambisonics_are_read_from_their_own_folder(folder):
    with pytest.raises(DataError, match=r"foa_dev.*missing"):
        starss_trials(Path(f"starss-foa:{folder}"), "test")
