import numpy as np
import pytest
import soundfile

from tselcli.corpora.starss import QUERIES, find_windows, read_labels
from tselcli.errors import DataError

RATE = 24_000


def write(root, name, rows, seconds=20, part="dev-test-sony", kind="mic"):
    """Lay one recording out as STARSS does."""
    for folder in ("metadata_dev", f"{kind}_dev"):
        (root / folder / part).mkdir(parents=True, exist_ok=True)
    lines = "".join(",".join(map(str, row)) + "\n" for row in rows)
    (root / "metadata_dev" / part / f"{name}.csv").write_text(lines)
    noise = 0.1 * np.random.default_rng(0).standard_normal((seconds * RATE, 4))
    soundfile.write(root / f"{kind}_dev" / part / f"{name}.wav", noise, RATE)


def test_every_class_with_one_source_and_company_is_asked_for(tmp_path):
    rows = [(5, 0, 1, 30, 0), (6, 0, 1, 31, 0), (6, 8, 0, -90, 10)]  # both are asked for
    rows += [(105, 0, 1, 0, 0), (106, 0, 2, 0, 0), (106, 12, 0, 50, 0)]  # two women: the knock only
    rows += [(205, 0, 1, 0, 0)]  # nobody else, and not 10 s long
    write(tmp_path, "fold4_room1_mix001", rows, seconds=25)
    write(tmp_path, "fold3_room1_mix001", rows, part="dev-train-tau")
    windows = find_windows(tmp_path, "test", "mic")
    assert [(w.query, w.start_s, w.stop_s) for w in windows] == [
        ("a woman speaking", 0, 10),
        ("music playing", 0, 10),
        ("a knock on a door", 10, 20),
    ]
    target, other = windows[0].events
    assert np.flatnonzero(target.active).tolist() == [5, 6]
    assert target.place[5:7, 0].tolist() == [30, 31]
    assert target.place[0, 0] == 30  # silent: where it will be
    assert target.place[99, 0] == 31  # silent: where it was
    assert (other.label, other.place[6, 1]) == (8, 10)
    assert len(windows[2].events) == 3


def test_two_sources_under_one_number_are_two(tmp_path):
    rows = [(0, 2, 0, 10, 0), (0, 2, 0, 90, 0), (0, 7, 0, 0, 0)]
    write(tmp_path, "fold4_room1_mix001", rows)
    (window,) = find_windows(tmp_path, "test", "mic")
    assert window.query == "a door opening or closing"
    assert sorted(event.place[0, 0] for event in window.events[1:]) == [10, 90]


def test_labels_of_both_years_are_read_and_180_is_minus_180(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("0,1,0,180,-5\n\n3,12,2,-180,10\n")
    assert read_labels(path)[:, :5].tolist() == [[0, 1, 0, -180, -5], [3, 12, 2, -180, 10]]
    assert np.isnan(read_labels(path)[:, 5]).all()
    path.write_text("0,1,0,180,-5,250\n")
    assert read_labels(path)[0, 5] == pytest.approx(2.5)


@pytest.mark.parametrize(
    "line", ["0,13,0,0,0", "0,1,0,0", "a,b,c,d,e", "0,1,0,nan,0", "-1,1,0,0,0"]
)
def test_a_line_that_is_no_label_is_named(tmp_path, line):
    path = tmp_path / "a.csv"
    path.write_text(f"0,1,0,0,0\n{line}\n")
    with pytest.raises(DataError, match=r"a\.csv:2: .*is no label"):
        read_labels(path)


def test_there_are_13_classes():
    assert len(set(QUERIES)) == 13


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match="no metadata_dev/dev-test"):
        find_windows(tmp_path, "test", "mic")
    with pytest.raises(DataError, match="no split 'val'"):
        find_windows(tmp_path, "val", "mic")
    write(tmp_path, "fold4_room1_mix001", [(0, 1, 0, 0, 0)])
    with pytest.raises(DataError, match="another sound beside it"):
        find_windows(tmp_path, "test", "mic")
    with pytest.raises(DataError, match=r"foa_dev.*mix001\.wav: missing"):
        find_windows(tmp_path, "test", "foa")
