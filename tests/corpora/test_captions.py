import os
from pathlib import Path

import numpy as np
import pytest

from tselcli.corpora.audio import read_audio
from tselcli.corpora.captions import open_corpora, open_corpus
from tselcli.corpora.clip import compatible, read_clip
from tselcli.errors import DataError

MANIFEST = """id,file,label,split
d1,clips/d1.wav,dog,train
d2,clips/d2.wav,dog,test
r1,clips/r1.wav,rain,training
r2,clips/r2.wav,rain,validation
w1,clips/w1.wav,wolf,dev
"""
CAPTIONS = """label,caption,use
dog,a dog barks,train
dog,"barking, of a dog",train
dog,a hound woofs,test
rain,rain falls,train
wolf,a wolf howls,train
"""
GROUPS = """label,audioset_name,groups
dog,Bark,canine;growl
wolf,Howl,canine
rain,Rain,
"""


def folder(root, **tables):
    """Write a corpus folder whose clips are empty files; the tables by name."""
    (root / "clips").mkdir(parents=True)
    for name, content in tables.items():
        (root / f"{name}.csv").write_text(content)
    for line in tables["manifest"].splitlines()[1:]:
        for cell in line.split(","):
            if cell.endswith(".wav"):
                (root / cell).touch()
    return root


@pytest.fixture
def corpus(tmp_path):
    return folder(tmp_path / "small", manifest=MANIFEST, captions=CAPTIONS, audioset_names=GROUPS)


def shared(name):
    """Give a folder of real recordings beside the checkout, or skip."""
    beside = Path(__file__).parents[2] / ".." / "shared" / "corpus"
    root = Path(os.environ.get("TSEL_TEST_CORPUS", beside)).resolve().parent / name
    if not (root / "manifest.csv").is_file():
        pytest.skip(f"no {name} at {root}; TSEL_TEST_CORPUS names the folder 'corpus'")
    return str(root)


def test_folder_gives_each_split_its_clips_and_captions(corpus):
    train = open_corpus(str(corpus), "train")
    assert [(c.id, c.label, c.captions) for c in train.clips] == [
        ("d1", "dog", ("a dog barks", "barking, of a dog")),
        ("r1", "rain", ("rain falls",)),
    ]
    assert train.clips[0].groups == {"canine", "growl"}
    assert train.clips[1].groups == frozenset()
    assert train.clips[0].path == corpus / "clips" / "d1.wav"
    assert (train.name, train.clips[0].source, train.missing) == ("small", "small", 0)
    val = open_corpus(str(corpus), "val")
    assert [(c.id, c.captions) for c in val.clips] == [
        ("r2", ("rain falls",)),
        ("w1", ("a wolf howls",)),
    ]
    test = open_corpus(str(corpus), "test")
    assert [(c.id, c.captions) for c in test.clips] == [("d2", ("a hound woofs",))]
    assert not compatible(train.clips[0], val.clips[1])  # both canine


def test_captions_without_use_serve_every_split(tmp_path):
    root = folder(
        tmp_path / "x",
        manifest="file,label,split\nclips/a.wav,dog,test\n",
        captions="label,caption\ndog,a dog\n",
    )
    assert open_corpus(str(root), "test").clips[0].captions == ("a dog",)


def test_missing_files_and_captions_are_counted_and_explained(corpus):
    (corpus / "clips" / "d1.wav").unlink()
    opened = open_corpus(str(corpus), "train")
    assert [clip.id for clip in opened.clips] == ["r1"]
    assert opened.missing == 1
    assert "1 of 2 train clips have no file" in opened.notes[0]
    (corpus / "captions.csv").write_text("label,caption,use\ndog,a dog,train\n")
    with pytest.raises(
        DataError, match=r"1 of 2 .* no file.*without train captions, such as 'rain'"
    ):
        open_corpus(str(corpus), "train")


def test_sources_share_captions_and_groups_by_label(corpus, tmp_path):
    """The second folder describes only its new label; the first one knows the others."""
    more = folder(
        tmp_path / "more",
        manifest="id,file,label,split\nd9,clips/d9.wav,dog,train\ncat,clips/c.wav,cat,train\n",
        captions="label,caption,use\ncat,a cat meows,train\n",
    )
    alone = open_corpus(str(more), "train")
    assert [clip.id for clip in alone.clips] == ["cat"]
    assert alone.missing == 1
    assert "label without train captions, such as 'dog'" in alone.notes[0]
    assert "open it together with the corpus" in alone.notes[0]
    for sources in ([corpus, more], [more, corpus]):
        both = open_corpora([str(source) for source in sources], "train")
        dog = next(clip for clip in both.clips if clip.id == "d9")
        assert dog.captions == ("a dog barks", "barking, of a dog")
        assert dog.groups == {"canine", "growl"}
        assert dog.source == "more"
        assert both.missing == 0


def test_ids_that_clash_get_the_name_of_their_source(tmp_path):
    for name in ("one", "two"):
        table = "file,caption,split\nclips/a.wav,a dog,train\n"
        folder(tmp_path / name, manifest=table + f"clips/{name}.wav,rain,train\n")
    both = open_corpora([str(tmp_path / "one"), str(tmp_path / "two")], "train")
    ids = [clip.id for clip in both.clips]
    assert ids == ["one:clips/a.wav", "clips/one.wav", "two:clips/a.wav", "clips/two.wav"]
    assert [clip.label for clip in both.clips] == ids  # still without labels of their own
    assert both.name == "one+two"


def test_sources_of_one_name_are_told_apart(tmp_path):
    table = "file,caption,split\nclips/a.wav,a dog,train\n"
    paths = [str(folder(tmp_path / n / "x", manifest=table)) for n in "ab"]
    ids = [clip.id for clip in open_corpora(paths, "train").clips]
    assert ids == ["x:clips/a.wav", "x#2:clips/a.wav"]
    with pytest.raises(DataError, match="name each source once"):
        open_corpora([paths[0], paths[0]], "train")


def csv_corpus(root, content, names=("a.wav", "b.wav")):
    for name in names:
        (root / name).touch()
    path = root / "sounds.csv"
    path.write_text(content)
    return str(path)


def test_csv_rows_of_one_file_are_its_captions(tmp_path):
    rows = "a.wav,a dog,val\nb.wav,rain,eval\na.wav,a hound,val\na.wav,a dog,val\n"
    source = csv_corpus(tmp_path, "file,caption,split\n" + rows)
    (clip,) = open_corpus(source, "val").clips
    assert (clip.id, clip.label, clip.captions) == ("a.wav", "a.wav", ("a dog", "a hound"))
    assert clip.source == "sounds"
    assert [c.id for c in open_corpus(source, "test").clips] == ["b.wav"]


def test_csv_without_split_divides_by_name_alone(tmp_path):
    """Neither the order, nor other rows, nor the place of the corpus moves a clip."""
    names = [f"{n}.wav" for n in range(40)]
    rows = [f"{name},sound of {name}\n" for name in names]

    def splits(source):
        return {c.id: s for s in ("train", "val", "test") for c in open_corpus(source, s).clips}

    whole = splits(csv_corpus(tmp_path, "file,caption\n" + "".join(rows), names))
    assert len(whole) == 40
    moved = tmp_path / "moved"
    moved.mkdir()
    part = splits(csv_corpus(moved, "file,caption\n" + "".join(rows[:5:-1]), names[6:]))
    assert part.items() <= whole.items()
    assert len(part) == 34


def test_takes_of_one_recording_stay_in_one_split(tmp_path):
    names = [f"{n}.wav" for n in range(30)]
    rows = "".join(f"{name},a dog,freesound:1\n" for name in names)
    source = csv_corpus(tmp_path, "file,caption,source_id\n" + rows, names)
    assert len(open_corpus(source, "train").clips) == 30


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,caption\n../a.wav,a dog\n", r"line 2: '\.\./a\.wav' is not inside"),
        (
            "file,caption,split\na.wav,a dog,tset\n",
            "line 2: unknown split 'tset'; use one of train",
        ),
        ("file,caption\na.wav, \n", "line 2: 'caption' is empty"),
        ("file,caption,split\na.wav,x,val\na.wav,y,test\n", "line 3: 'a.wav' already stands"),
        ("id,file,caption\n1,a.wav,x\n1,b.wav,y\n", "line 3: '1' already stands for a clip"),
        ("file,label\na.wav,dog\n", "columns found: file, label; columns wanted: file, caption"),
    ],
)
def test_what_is_wrong_with_a_csv_is_said(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        open_corpus(csv_corpus(tmp_path, content), "train")


@pytest.mark.parametrize(
    ("table", "content", "message"),
    [
        ("manifest", "id,file\n1,clips/d1.wav\n", "columns wanted: file, and label or caption"),
        ("manifest", MANIFEST + "d1,clips/d1.wav,dog,train\n", "line 7: 'd1' already stands"),
        (
            "captions",
            "label,text\ndog,a dog\n",
            "columns found: label, text; columns wanted: label",
        ),
        (
            "captions",
            "label,caption,use\ndog,a dog,val\n",
            "unknown use 'val'; write train or test",
        ),
        ("audioset_names", "label\ndog\n", "columns wanted: label, groups"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(corpus, table, content, message):
    (corpus / f"{table}.csv").write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        open_corpus(str(corpus), "train")
    assert str(caught.value).startswith(str(corpus / f"{table}.csv"))


def test_unknown_sources_and_splits(tmp_path, corpus):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no manifest\.csv in it; a corpus folder needs one"):
        open_corpus(str(tmp_path / "empty"), "train")
    for source in ("nowhere", "fsd50k:x", "audiocaps:", "~no-such-user/x", "x" * 5000):
        with pytest.raises(DataError, match="not a corpus; give synthetic, a folder"):
            open_corpus(source, "train")
    with pytest.raises(DataError, match="no such file"):
        open_corpus(str(tmp_path / "none.csv"), "train")
    with pytest.raises(DataError, match="split 'dev': unknown; use one of train, val, test"):
        open_corpus(str(corpus), "dev")
    with pytest.raises(DataError, match="name each source once"):
        open_corpora([], "train")


def test_split_without_clips_is_an_error(tmp_path):
    source = csv_corpus(tmp_path, "file,caption,split\na.wav,a dog,train\n")
    with pytest.raises(DataError, match="no usable 'val' clips"):
        open_corpus(source, "val")


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_synthetic_sounds_open_and_sound(split):
    corpus = open_corpus("synthetic", split)
    assert {clip.split for clip in corpus.clips} == {split}
    assert len({clip.id for clip in corpus.clips}) == len(corpus.clips)
    signal = read_clip(corpus.clips[0], 16_000)
    assert (signal.ndim, signal.dtype) == (1, np.float32)
    np.testing.assert_array_equal(signal, read_clip(corpus.clips[0], 16_000))


def test_real_corpus_keeps_its_published_counts():
    """The counts are those of the corpora's own READMEs."""
    first, more = shared("corpus"), shared("corpus_more")
    counts = {s: len(open_corpora([first, more], s).clips) for s in ("train", "val", "test")}
    assert counts == {"train": 644 + 1930, "val": 96 + 148, "test": 147 + 154}
    train, test = open_corpora([first, more], "train"), open_corpora([first, more], "test")
    assert {len(clip.captions) for clip in train.clips} == {8}
    assert {len(clip.captions) for clip in test.clips} == {3}
    assert train.missing == test.missing == 0
    heard = {caption for clip in train.clips for caption in clip.captions}
    assert heard.isdisjoint(caption for clip in test.clips for caption in clip.captions)


def test_real_corpus_more_alone_reports_what_it_cannot_describe():
    corpus = open_corpus(shared("corpus_more"), "test")
    assert len(corpus.clips) + corpus.missing == 154
    assert corpus.clips
    assert f"{corpus.missing} of 154 test clips have a label without test" in corpus.notes[0]


def test_real_clip_is_read_at_any_rate():
    clip = open_corpus(shared("corpus"), "test").clips[0]
    whole, rate = read_audio(clip.path)
    signal = read_clip(clip, 16_000)
    assert rate == 32_000
    assert len(signal) == -(-whole.shape[1] // 2)
    assert 0.3 <= len(signal) / 16_000 <= 10.1
