import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tselcli.commands.lessons import above_usual, class_names, lessons
from tselcli.errors import CheckpointError, DataError
from tselcli.models.lessons import Lessons, load_lessons, save_lessons
from tselcli.recipe import load_recipe
from tselcli.teachers.teacher import open_teacher

CLASSES = "yamnet_class_map.csv"


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


def test_a_classifier_in_onnx_teaches_beside_another(tmp_path, write_loudness):
    pytest.importorskip("onnxruntime")
    loud = np.sin(np.arange(3200)) * np.r_[np.ones(1600), np.zeros(1600)]
    for name, sound in (("hum", np.sin(np.arange(3200))), ("tap", loud), ("mute", loud * 0)):
        write(tmp_path / f"{name}.wav", sound)
    rows = [f"{name}.wav,{name},{name},train" for name in ("hum", "tap", "mute")]
    (tmp_path / "corpus.csv").write_text("\n".join(["file,label,caption,split", *rows]))
    (tmp_path / "classes.csv").write_text("display_name\nLoud\nQuiet\n")
    recipe = load_recipe("tiny", [f"corpus.source={tmp_path / 'corpus.csv'}"])
    teacher, out = tmp_path / "teacher.onnx", tmp_path / "lessons.safetensors"
    write_loudness(teacher)
    sets = {"recipe": recipe, "classes": tmp_path / "classes.csv", "rate": 16_000, "jobs": 1}
    assert lessons(teacher, out, **sets, rooms=0) == {"clips": 2, "unreadable": 1}
    alone = load_lessons(out)
    (hum, tap), names = (row.tolist() for row in alone.odds.values()), alone.names
    assert names == ("Loud", "Quiet")
    assert hum == pytest.approx([0.00625, -0.00625], abs=1e-4)  # a fifth of a second in one
    assert tap == pytest.approx([-hum[0], -hum[1]], abs=1e-3)
    lessons(teacher, out, **sets, beside=out)  # in two rooms as well
    joined = load_lessons(out)
    assert joined.names == names
    assert all(len(vector) == 4 for vector in joined.vectors.values())
    (in_rooms, _) = (row.tolist() for row in joined.odds.values())
    assert in_rooms != hum


def test_lessons_that_do_not_go_together_are_refused_before_any_work(
    tmp_path, write_loudness, monkeypatch
):
    pytest.importorskip("onnxruntime")
    from tselcli.commands import lessons as command

    monkeypatch.setattr(command, "_hear", None)  # any use of it fails
    other = tmp_path / "other.safetensors"
    known = {"a": torch.ones(1)}
    save_lessons(other, Lessons(known, known, ("Bark",)))
    write_loudness(tmp_path / "teacher.onnx")
    with pytest.raises(CheckpointError, match=r"other\.safetensors: lessons of 1 recordings"):
        lessons(
            tmp_path / "teacher.onnx",
            tmp_path / "out.safetensors",
            recipe=load_recipe("tiny"),
            beside=other,
        )


def test_a_teacher_is_a_file_of_one_of_two_kinds(tmp_path):
    with pytest.raises(DataError, match=r"none\.onnx: no such file"):
        open_teacher(tmp_path / "none.onnx", 16_000)
    with pytest.raises(DataError, match=r"model\.pt: not a teacher; give YAMNet as \.tflite"):
        open_teacher(tmp_path / "model.pt", 16_000)


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

    soundfile.write(path, sound / max(np.abs(sound).max(), 1e-9) * 0.5, 16_000)
