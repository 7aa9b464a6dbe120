import numpy as np
import pytest
import soundfile

from tselcli.commands.localize import find_recordings, localize
from tselcli.errors import DataError, RecipeError
from tselcli.outcomes import check_outputs, numbered, write_sound


@pytest.fixture
def demo():
    from tselcli.models.checkpoint import ASSETS

    return ASSETS / "demo.flac"


def test_files_show_and_play_what_was_heard(demo, tmp_path):
    names = {"plot": "track.png", "save_mask": "mask.npz", "extract": "sound.wav"}
    files = {option: tmp_path / name for option, name in names.items()}
    queries = ["a vehicle accelerating", "a baby crying"]
    vehicle, baby = localize([demo], queries, track=True, device="cpu", **files)
    packed = np.load(tmp_path / "mask.npz")
    assert packed["queries"].tolist() == queries
    assert packed["azimuth_deg"] == pytest.approx(
        [vehicle["azimuth_deg"], baby["azimuth_deg"]], abs=0.06
    )
    share, level_db = packed["share"].astype(float), packed["level_db"].astype(float)
    assert share.shape == (2, len(packed["time_s"]), len(packed["band_hz"]))
    late = packed["time_s"] > 2.5  # the baby cries in the first two seconds
    loud = 10 ** (level_db / 10)
    shares = (share * loud)[:, late].sum(axis=(1, 2)) / loud[late].sum()
    assert shares[0] > 0.8
    assert shares[1] < 0.2
    (sound, rate), (other, _) = (
        soundfile.read(tmp_path / f"sound-{number}.wav") for number in (1, 2)
    )
    assert len(sound) == len(other) == 6 * rate
    half = slice(int(2.5 * rate), None)
    assert np.square(sound[half]).sum() > 100 * np.square(other[half]).sum()
    assert (tmp_path / "track.png").read_bytes().startswith(b"\x89PNG")


def test_a_part_keeps_the_times_of_the_whole(demo):
    (answer,) = localize([demo], ["a baby crying"], track=True, start_s=1.0, stop_s=2.0)
    times = [frame["time_s"] for frame in answer["trajectory"]]
    assert times == pytest.approx(np.arange(1.0, 2.0, 0.1))


def test_several_recordings_go_on_past_a_bad_one(demo, tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "b.flac").write_bytes(demo.read_bytes())
    (tmp_path / "a.wav").write_bytes(b"RIFF nonsense")
    (tmp_path / "notes.txt").write_text("no sound")
    answers = list(localize([tmp_path], ["rain", "a baby crying"]))
    assert ["error" in answer for answer in answers] == [True, True, False, False]
    assert answers[2]["audio"] == str(tmp_path / "deep" / "b.flac")
    assert abs(answers[3]["azimuth_deg"] - 146) < 10


def test_a_folder_without_recordings_is_told(tmp_path):
    with pytest.raises(DataError, match="holds no recordings"):
        find_recordings([tmp_path])


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (("a.bmp", None, None), r"a\.bmp: --plot writes \.png"),
        ((None, "a.wav", None), r"a\.wav: --save-mask writes \.npz"),
        ((None, None, "a.mp3"), r"a\.mp3: --extract writes \.wav, \.flac"),
        ((None, None, "no/a.wav"), "no such folder"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_at_once(tmp_path, names, complaint):
    with pytest.raises(RecipeError, match=complaint):
        check_outputs(*(None if name is None else tmp_path / name for name in names))


def test_sounds_of_several_queries_are_numbered(tmp_path):
    assert numbered(tmp_path / "a.wav", 1, 3).name == "a-2.wav"
    assert numbered(tmp_path / "a.wav", 0, 1).name == "a.wav"


def test_a_sound_that_fails_leaves_nothing(tmp_path):
    def blocks():
        yield np.zeros(10, np.float32)
        raise DataError("damaged")

    with pytest.raises(DataError, match="damaged"):
        write_sound(tmp_path / "a.wav", blocks(), 16_000)
    assert list(tmp_path.iterdir()) == []
