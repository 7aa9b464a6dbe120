import hashlib

import numpy as np
import pytest

from tselcli import downloads
from tselcli.downloads import NotOnServerError, download
from tselcli.errors import CheckpointError, DataError

CONTENT = np.random.default_rng(0).bytes(3_000_000)
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def url(web):
    web.files["/a/x.bin"] = CONTENT
    return f"{web.url}/a/x.bin"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "models" / "x.bin"


def test_a_file_arrives_whole(url, target):
    assert download(url, target) == CHECKSUM
    assert target.read_bytes() == CONTENT
    assert [path.name for path in target.parent.iterdir()] == ["x.bin"]


def test_an_interrupted_download_goes_on(web, url, target):
    web.cut_after = 1_200_000
    with pytest.raises(CheckpointError, match=r"broke off after 1.2 of 3.0 MB; run the command"):
        download(url, target)
    assert not target.exists()
    assert download(url, target) == CHECKSUM
    assert target.read_bytes() == CONTENT
    assert web.asked == [("/a/x.bin", None), ("/a/x.bin", "bytes=1200000-")]


def test_a_server_without_ranges_starts_over(web, url, target):
    web.ranges, web.cut_after = False, 1_200_000
    with pytest.raises(CheckpointError, match="broke off"):
        download(url, target)
    assert download(url, target) == CHECKSUM
    assert target.read_bytes() == CONTENT


def test_what_was_complete_or_too_long_is_no_obstacle(url, target):
    target.parent.mkdir()
    part = target.with_name("x.bin.part")
    for left in (CONTENT, CONTENT + b"more"):
        part.write_bytes(left)
        assert download(url, target) == CHECKSUM
        assert target.read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(web, url, target):
    web.checksum = "0" * 64
    with pytest.raises(CheckpointError, match=rf"SHA-256 {CHECKSUM[:12]}... instead of 000000"):
        download(url, target)
    assert list(target.parent.iterdir()) == []


def test_rubbish_from_before_is_found_out(url, target):
    target.parent.mkdir()
    target.with_name("x.bin.part").write_bytes(b"rubbish" * 1000)
    with pytest.raises(CheckpointError, match="what arrived is removed"):
        download(url, target)
    assert download(url, target) == CHECKSUM


def test_the_checksum_is_taken_from_before_the_redirect(web, url, target):
    web.redirect = True
    assert download(url, target) == CHECKSUM
    assert [path for path, _ in web.asked] == ["/a/x.bin", "/cdn/a/x.bin"]
    web.checksum = "0" * 64
    with pytest.raises(CheckpointError, match="instead of 000000"):
        download(url, target)


def test_an_etag_that_is_no_checksum_is_passed_over(web, url, target):
    web.checksum = "abc123"
    assert download(url, target) == CHECKSUM


def test_a_missing_file_is_told_apart(web, url, target):
    with pytest.raises(NotOnServerError, match="not on the server"):
        download(url + "x", target)
    web.status = 503
    with pytest.raises(CheckpointError, match="the server answers 503"):
        download(url, target)


def test_nobody_there(monkeypatch, target):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with pytest.raises(CheckpointError, match=r"^http://127.0.0.1:9/x: cannot be .*refused"):
        download("http://127.0.0.1:9/x", target)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "huggingface.co"])
def test_only_the_web(url, target):
    with pytest.raises(CheckpointError, match="no web address"):
        download(url, target)


def test_a_place_that_cannot_be_written(url, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"cannot be written .*TSEL_CACHE"):
        download(url, tmp_path / "file" / "x.bin")


def test_progress_counts_megabytes(url, target, monkeypatch):
    seen = []
    real = downloads.progress_bar
    monkeypatch.setattr(
        downloads, "progress_bar", lambda *a, **k: seen.append((a, k)) or real(*a, **k)
    )
    target.parent.mkdir()
    target.with_name("x.bin.part").write_bytes(CONTENT[: 1 << 20])
    download(url, target)
    assert seen == [(("x.bin", 3, "MB"), {"done": 1})]
