import os
from pathlib import Path

import numpy as np
import pytest

from tselcli.commands.lessons import above_usual, class_names, lessons, log_mel_frames
from tselcli.errors import DataError
from tselcli.models.lessons import load_lessons
from tselcli.recipe import load_recipe

CLASSES = "yamnet_class_map.csv"


def test_a_tone_lies_in_its_band_and_ten_times_the_sound_adds_a_log():
    time = np.arange(16_000) / 16_000
    tone = np.sin(2 * np.pi * 1000 * time)
    picture = log_mel_frames(tone)
    assert picture.shape == (98, 64)
    edges = np.linspace(*(1127 * np.log1p(np.array([125.0, 7500.0]) / 700)), 66)
    wanted = np.abs(edges[1:-1] - 1127 * np.log1p(1000 / 700)).argmin()
    assert set(picture.argmax(axis=1)) == {wanted}
    louder = log_mel_frames(10 * tone)[50, wanted] - picture[50, wanted]
    assert louder == pytest.approx(0.9908 * np.log(10), abs=1e-3)


def test_silence_and_short_sounds_fill_one_patch():
    silence = log_mel_frames(np.zeros(100))
    assert silence.shape == (96, 64)
    np.testing.assert_allclose(silence, np.log(0.001) * 0.9908 + 1.3994, rtol=1e-6)


def test_what_is_no_model_is_one_line(tmp_path):
    pytest.importorskip("ai_edge_litert")
    teacher = tmp_path / "teacher.tflite"
    teacher.write_bytes(b"no model")
    with pytest.raises(DataError, match=r"teacher\.tflite: not a TensorFlow Lite model"):
        lessons(teacher, tmp_path / "out.safetensors", recipe=load_recipe("tiny"))
    assert not (tmp_path / "out.safetensors").exists()


def test_the_teacher_hears_bells_apart_from_rain(tmp_path):
    pytest.importorskip("ai_edge_litert")
    shared = Path(os.environ.get("TSEL_SHARED") or Path(__file__).parents[3] / "shared")
    teacher = shared / "teacher" / "yamnet_spectra_in.tflite"
    if not teacher.exists():
        pytest.skip(f"no teacher in {shared}; name its folder with TSEL_SHARED")
    from tselcli.corpora.synthetic import synthesise

    for label in ("church bells", "rain"):
        for seed in (1, 2, 3):
            write(tmp_path / f"{label}-{seed}.wav", synthesise(label, seed, 16_000))
    rows = [f"{p.name},{p.stem[:-2]},{p.stem[:-2]},train" for p in sorted(tmp_path.glob("*.wav"))]
    table = tmp_path / "corpus.csv"
    table.write_text("\n".join(["file,label,caption,split", *rows]), encoding="utf-8")
    recipe = load_recipe("tiny", [f"corpus.source={table}"])
    out = tmp_path / "lessons.safetensors"
    told = lessons(
        teacher, out, recipe=recipe, classes=shared / "teacher" / CLASSES, size=4, jobs=1
    )
    assert told == {"clips": 6, "unreadable": 0}
    found = load_lessons(out)
    known = np.stack([lesson.numpy() for lesson in found.vectors.values()])
    alike = known @ known.T
    assert alike[0, 1:3].min() > 0 > alike[0, 3:].max()
    odds = np.stack([row.numpy() for row in found.odds.values()])
    np.testing.assert_allclose(odds.mean(axis=0), 0, atol=0.02)
    bells, rain = (odds[:, found.names.index(name)] for name in ("Church bell", "Rain"))
    assert bells[:3].min() > 0 > bells[3:].max()
    assert rain[3:].min() > 0 > rain[:3].max()


def test_what_every_recording_has_is_nothing_unusual():
    odds = np.array([[9.0, 1.0], [9.0, -1.0]], dtype=np.float32)
    assert above_usual(odds).tolist() == [[0.0, 1.0], [0.0, -1.0]]


@pytest.mark.parametrize("between", [",", "\t"])
def test_classes_are_named_in_their_order(tmp_path, between):
    table = tmp_path / "classes.csv"
    rows = [["index", "mid", "display_name"], ["0", "/m/1", "Speech"], ["1", "/m/2", "Dog"]]
    table.write_text("\n".join(between.join(row) for row in rows), encoding="utf-8")
    assert class_names(table, 2) == ["Speech", "Dog"]
    with pytest.raises(DataError, match="names 2 classes instead of the teacher's 521"):
        class_names(table, 521)


def test_what_names_no_classes_is_one_line(tmp_path):
    table = tmp_path / "classes.csv"
    table.write_text("a,b\n1,2\n", encoding="utf-8")
    for path in (table, tmp_path / "none.csv"):
        with pytest.raises(DataError, match="not a CSV with a column display_name"):
            class_names(path, 1)


def write(path, sound):
    import soundfile

    soundfile.write(path, sound / np.abs(sound).max() * 0.5, 16_000)
