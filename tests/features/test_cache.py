import numpy as np
import pytest

from tselcli.errors import DataError
from tselcli.features.cache import FeatureCache, content_key, default_cache

ARRAY = np.arange(12, dtype=np.float16).reshape(3, 4)


def test_what_is_put_can_be_got(tmp_path):
    cache = FeatureCache(tmp_path / "cache")
    key = content_key(kind="test", n=1)
    assert cache.get(key) is None
    cache.put(key, ARRAY)
    found = cache.get(key)
    np.testing.assert_array_equal(found, ARRAY)
    assert found.dtype == np.float16


@pytest.mark.parametrize(
    "harm", [lambda b: b[:-1], lambda b: b[:40] + b"x" + b[41:], lambda b: b""]
)
def test_a_damaged_entry_counts_as_absent_and_can_be_replaced(tmp_path, harm):
    cache = FeatureCache(tmp_path)
    key = content_key(n=1)
    cache.put(key, ARRAY)
    path = cache.path(key)
    path.write_bytes(harm(path.read_bytes()))
    assert cache.get(key) is None
    cache.put(key, ARRAY)
    np.testing.assert_array_equal(cache.get(key), ARRAY)


def test_no_temporary_file_is_left(tmp_path):
    cache = FeatureCache(tmp_path)
    cache.put(content_key(n=1), ARRAY)
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".npy"]


def test_keys_depend_on_content_and_not_on_order():
    assert content_key(a=1, b=[1, 2]) == content_key(b=[1, 2], a=1)
    assert content_key(a=1) != content_key(a=2)
    assert content_key(a=1) != content_key(b=1)
    assert content_key(a={"y", "x"}) == content_key(a=["x", "y"])


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot write the feature cache .*--cache"):
        FeatureCache(tmp_path / "file").put(content_key(n=1), ARRAY)


def test_pickled_objects_are_not_loaded(tmp_path):
    with pytest.raises(ValueError, match="Object arrays"):
        FeatureCache(tmp_path).put(content_key(n=1), np.array([{"code": 1}], dtype=object))


def test_the_users_cache_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("TSEL_CACHE", raising=False)
    assert default_cache().folder == tmp_path / "tsel"
    monkeypatch.setenv("TSEL_CACHE", str(tmp_path / "mine"))
    assert default_cache().folder == tmp_path / "mine"
