import pytest

from tselcli.corpora.captions import open_corpora, open_corpus
from tselcli.corpora.clip import compatible
from tselcli.errors import DataError

VIDEO = "-0Gj8-vB1q4"  # thousands of AudioCaps ids begin with a dash


@pytest.fixture
def audiocaps(tmp_path):
    """AudioCaps in small: three train clips with one caption, one test clip with five."""
    header = "audiocap_id,youtube_id,start_time,caption\n"
    (tmp_path / "train.csv").write_text(
        header
        + f'91139,{VIDEO},30,"Rain falls, and thunder roars"\n'
        + "58146,sLkeqCDJIyw,130,A dog barks\n"
        + "9,holeInThe_Y,0,An engine idles\n"
    )
    fives = [f"{n},vfYTJq7nU_k,{130},A caption number {'abcde'[n]}\n" for n in range(5)]
    (tmp_path / "test.csv").write_text(header + "".join(fives))
    return tmp_path


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.mark.parametrize("folder", ["train", "audio", "audio/train", "audio_32k/train", "."])
@pytest.mark.parametrize("stem", [f"Y{VIDEO}", VIDEO, f"{VIDEO}_30", "91139"])
@pytest.mark.parametrize("suffix", [".wav", ".FLAC"])
def test_audiocaps_file_is_found_under_any_usual_name(audiocaps, folder, stem, suffix):
    touch(audiocaps / folder / f"{stem}{suffix}")
    corpus = open_corpus(f"audiocaps:{audiocaps}", "train")
    (clip,) = corpus.clips
    assert clip.id == clip.label == f"{VIDEO}_30"
    assert clip.captions == ("Rain falls, and thunder roars",)
    assert clip.path == audiocaps / folder / f"{stem}{suffix}"
    assert corpus.missing == 2
    assert "2 of 3 clips have no audio file" in corpus.notes[0]
    assert "sLkeqCDJIyw_130" in corpus.notes[0]


def test_audiocaps_five_captions_are_one_clip(audiocaps):
    touch(audiocaps / "test" / "YvfYTJq7nU_k.wav")
    corpus = open_corpus(f"audiocaps:{audiocaps}", "test")
    assert [clip.captions for clip in corpus.clips] == [
        tuple(f"A caption number {letter}" for letter in "abcde")
    ]
    assert corpus.missing == 0
    assert corpus.notes == ()


def test_audiocaps_clips_of_one_video_or_both_with_speech_do_not_meet(tmp_path):
    (tmp_path / "train.csv").write_text(
        "youtube_id,start_time,caption\n"
        "aaaaaaaaaaa,0,A dog barks\n"
        "aaaaaaaaaaa,30,Rain falls\n"
        "bbbbbbbbbbb,0,A man speaks and a horn honks\n"
        "ccccccccccc,0,A woman talks over music\n"
    )
    for name in ("aaaaaaaaaaa_0", "aaaaaaaaaaa_30", "bbbbbbbbbbb", "Yccccccccccc"):
        touch(tmp_path / f"{name}.wav")
    dog, rain, man, woman = open_corpus(f"audiocaps:{tmp_path}", "train").clips
    assert rain.path == tmp_path / "aaaaaaaaaaa_30.wav"
    assert not compatible(dog, rain)
    assert not compatible(man, woman)
    assert compatible(dog, man)


def test_audiocaps_errors_name_the_way_out(audiocaps, tmp_path):
    with pytest.raises(DataError, match=r"no usable 'train' clips .*3 of 3 clips have no audio"):
        open_corpus(f"audiocaps:{audiocaps}", "train")
    with pytest.raises(DataError, match=r"no val\.csv in it; put the official table there"):
        open_corpus(f"audiocaps:{audiocaps}", "val")
    with pytest.raises(DataError, match="no such folder"):
        open_corpus(f"audiocaps:{tmp_path / 'none'}", "train")
    with pytest.raises(DataError, match=r"no manifest\.csv in it; try audiocaps:"):
        open_corpus(str(audiocaps), "train")


def clotho(root, part, rows):
    captions = ",".join(f"caption_{n}" for n in range(1, 6))
    table = root / f"clotho_captions_{part}.csv"
    table.write_text(f"file_name,{captions}\n" + "".join(rows))


@pytest.mark.parametrize("split", ["train", "val", "test"])
@pytest.mark.parametrize("folder", ["{}", "clotho_audio_files/{}"])
def test_clotho_parts_are_the_splits(tmp_path, split, folder):
    part = {"train": "development", "val": "validation", "test": "evaluation"}[split]
    rows = [
        '"Distorted AM Radio, noise.wav",A radio,"static, hiss",a b c,d,e\n',
        "gone.wav,v,w,x,y,z\n",
    ]
    clotho(tmp_path, part, rows)
    touch(tmp_path / folder.format(part) / "Distorted AM Radio, noise.wav")
    corpus = open_corpus(f"clotho:{tmp_path}", split)
    (clip,) = corpus.clips
    assert clip.id == clip.label == "Distorted AM Radio, noise.wav"
    assert clip.captions == ("A radio", "static, hiss", "a b c", "d", "e")
    assert clip.split == split
    assert clip.path == tmp_path / folder.format(part) / "Distorted AM Radio, noise.wav"
    assert corpus.missing == 1


def test_clotho_name_in_another_unicode_form_is_found(tmp_path):
    """Some file systems store 'é' as 'e' and an accent; the table does not."""
    clotho(tmp_path, "development", ["caf\u00e9.wav,a,b,c,d,e\n"])
    touch(tmp_path / "development" / "cafe\u0301.wav")
    assert len(open_corpus(f"clotho:{tmp_path}", "train").clips) == 1


def test_clotho_twice_in_the_table_is_an_error(tmp_path):
    clotho(tmp_path, "development", ["x.wav,a,b,c,d,e\n"] * 2)
    with pytest.raises(DataError, match=r"line 3: 'x\.wav' occurs twice"):
        open_corpus(f"clotho:{tmp_path}", "train")


def test_published_sets_open_together(audiocaps):
    touch(audiocaps / "train" / f"Y{VIDEO}.wav")
    clotho(audiocaps, "development", ["x.wav,a,b,c,d,e\n"])
    touch(audiocaps / "development" / "x.wav")
    both = open_corpora([f"audiocaps:{audiocaps}", f"clotho:{audiocaps}"], "train")
    assert both.name == "audiocaps+clotho"
    assert [clip.source for clip in both.clips] == ["audiocaps", "clotho"]
    assert both.missing == 2
