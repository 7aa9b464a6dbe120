import pytest

from tselcli.commands import recipes
from tselcli.commands.recipes import copy_recipe, find_problems, list_recipes
from tselcli.errors import RecipeError
from tselcli.recipe import bundled_recipes, load_recipe


def test_every_bundled_recipe_has_a_sentence_of_its_own():
    listed = dict(list_recipes())
    assert list(listed) == list(bundled_recipes())
    assert len(set(listed.values())) == len(listed)
    assert all(sentence.endswith(".") and len(sentence) > 20 for sentence in listed.values())


def test_only_the_first_sentence_of_the_description_is_listed(tmp_path, monkeypatch):
    path = tmp_path / "two.yaml"
    path.write_text("# tsel train two\n#\n# Version 1.5 of\n# this. More of it.\nname: two # no\n")
    monkeypatch.setattr(recipes, "bundled_recipes", lambda: {"two": path})
    assert list_recipes() == [("two", "Version 1.5 of this.")]


@pytest.mark.parametrize("target", [None, "folder", "new.yaml", "new/deep.yaml"])
def test_copy_keeps_comments_and_lands_where_asked(tmp_path, monkeypatch, target):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    copied = copy_recipe("tiny", target and tmp_path / target, overwrite=False)
    expected = {None: "tiny.yaml", "folder": "folder/tiny.yaml"}.get(target, target)
    assert copied.resolve() == tmp_path / expected
    assert copied.read_bytes() == bundled_recipes()["tiny"].read_bytes()


def test_copy_replaces_nothing_unless_asked(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("name: mine\n")
    with pytest.raises(RecipeError, match=r"mine\.yaml: exists already; add --force"):
        copy_recipe("tiny", mine, overwrite=False)
    assert mine.read_text() == "name: mine\n"
    copy_recipe("tiny", mine, overwrite=True)
    assert load_recipe(str(mine)) == load_recipe("tiny")


def test_copy_of_a_recipe_with_a_base_stands_alone(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "low.yaml").write_text("name: low\nseed: 7\n")
    top = tmp_path / "in" / "top.yaml"
    top.write_text("base: low.yaml\nname: top\n")
    monkeypatch.setattr(recipes, "bundled_recipes", lambda: {"top": top})
    monkeypatch.setattr("tselcli.recipe.bundled_recipes", lambda: {"top": top})
    copied = copy_recipe("top", tmp_path / "mine.yaml", overwrite=False)
    assert load_recipe(str(copied)).seed == 7


def test_copy_of_an_unknown_recipe_names_the_nearest(tmp_path):
    with pytest.raises(RecipeError, match="'tinny': no such recipe; did you mean 'tiny'"):
        copy_recipe("tinny", tmp_path, overwrite=False)


def test_problems_are_found_recipe_by_recipe(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: x\nsede: 1\n")
    found = find_problems(["tiny", str(bad), "gone.yaml"])
    assert found["tiny"] is None
    assert "did you mean 'seed'?" in found[str(bad)]
    assert found["gone.yaml"] == "gone.yaml: no such file; check the path"
