import pytest

from tselcli.errors import RecipeError
from tselcli.recipe import (
    Recipe,
    bundled_recipes,
    load_recipe,
    recipe_from_dict,
    recipe_to_yaml,
)


@pytest.fixture
def write(tmp_path):
    def write_recipe(text, name="bad.yaml"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write_recipe


def problems(source, overrides=()):
    with pytest.raises(RecipeError) as caught:
        load_recipe(source, overrides)
    return str(caught.value).splitlines()


def test_all_problems_come_in_one_message(write, monkeypatch, tmp_path):
    write("name: x\nfeatures: {n_lag: 3}\nmodel: {text_encoder: word2vec}\ntrain: {steps: 0}\n")
    monkeypatch.chdir(tmp_path)
    assert problems("bad.yaml") == [
        "bad.yaml: 3 problem(s)",
        "  features: unknown key 'n_lag'; did you mean 'n_lags'?",
        "  model.text_encoder: Input should be 'clap', 'clap-hf' or 'compact'",
        "  train.steps: Input should be greater than or equal to 1",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("seed: 1", "name: Field required"),
        ("name: x\nsead: 1", "recipe: unknown key 'sead'; did you mean 'seed'?"),
        ("name: x\neval: {zzz: 1}", "eval: unknown key 'zzz'; known keys: count, seed"),
        ("name: x\nscene: {room: {rt60: 1}}", "scene.room: unknown key 'rt60'; did you mean"),
        ("name: x\npublished: {mae: 1, table: I, row: 2}", "did you mean 'mae_deg'?"),
        ("name: x\ntrain: 5", "train: Input should be an object"),
        ("name: x\ntrain: {steps: '5'}", "train.steps: Input should be a valid integer"),
        ("name: x\ntrain: {steps: yes}", "train.steps: Input should be a valid integer"),
        ("name: x\ntrain: {lr: .inf}", "train.lr: Input should be a finite number"),
        ("name: x\nseed: -1", "seed: Input should be greater than or equal to 0"),
        ("name: ../x", "name: String should match pattern"),
        ("name: x\n1: 2", "recipe: unknown key '1'"),
        ("name: x\nscene: {room: {rt60_s: [1.0, 0.5]}}", "range [1.0, 0.5] must be [low, high]"),
        ("name: x\nscene: {room: {rt60_s: [1.0]}}", "scene.room.rt60_s.1: Field required"),
        (
            "name: x\nscene: {room: {method: diffuse-tail, max_order: 9}}",
            "max_order: a diffuse tail takes the place of late reflections",
        ),
        ("name: x\nscene: {room: {method: raytracing}}", "'images', 'pyroomacoustics', 'torch'"),
        ("name: x\nscene: {room: {bank: 0}}", "scene.room.bank: Input should be greater than"),
        (
            "name: x\nscene: {room: {bank: 9}, motion: {share: 0.5}}",
            "room.bank: moving sources have responses of their own",
        ),
        (
            "name: x\nscene: {room: {bank: 9}, measured: {folder: x}}",
            "room.bank: measured rooms are one already",
        ),
        ("name: x\nfeatures: {hop: 2048}", "  features.hop=2048 must not exceed n_fft=1024"),
    ],
)
def test_each_problem_says_where_and_what(write, text, problem):
    heading, *lines = problems(write(text))
    assert heading.endswith(f"bad.yaml: {len(lines)} problem(s)")
    assert any(problem in line for line in lines)


@pytest.mark.parametrize("text", ["", "- a\n", "text", "3"])
def test_a_file_that_is_no_mapping_is_no_recipe(write, text):
    assert "not a recipe" in problems(write(text))[0]


def test_the_full_recipe_reads_back_equal(write):
    recipe = recipe_from_dict(
        {
            "name": "1e3",
            "scene": {"noise_snr_db": [5, 20], "room": {"max_order": 3}},
            "train": {"lr": 1e-5},
            "corpus": {"also": ["a b.csv", "0x1F"]},
        }
    )
    assert load_recipe(write(recipe_to_yaml(recipe))) == recipe
    assert recipe.scene.noise_snr_db == (5.0, 20.0)


def test_a_recipe_cannot_be_changed():
    recipe = recipe_from_dict({"name": "x"})
    with pytest.raises(ValueError, match="frozen"):
        recipe.seed = 3


def test_base_is_read_relative_to_the_file_and_overridden_key_by_key(write):
    write("name: below\nseed: 4\ntrain: {steps: 7, lr: 0.5}\n", "base/below.yaml")
    source = write("base: ../base/below.yaml\nname: above\ntrain: {lr: 0.25}\n", "sub/above.yaml")
    recipe = load_recipe(source)
    assert (recipe.name, recipe.seed) == ("above", 4)
    assert (recipe.train.steps, recipe.train.lr) == (7, 0.25)


@pytest.mark.parametrize(
    ("base", "match"),
    [
        ("base: middle.yaml", "has a base of its own"),
        ("base: top.yaml", "has a base of its own"),
        ("base: gone.yaml", r"gone\.yaml: no such file"),
        ("base: [a, b]", "must be the path of one YAML file"),
        ("base: list.yaml", "not a recipe"),
    ],
)
def test_a_base_that_cannot_be_followed(write, base, match):
    write("name: low\n", "low.yaml")
    write("base: low.yaml\n", "middle.yaml")
    write("- a\n", "list.yaml")
    with pytest.raises(RecipeError, match=match):
        load_recipe(write(f"{base}\nname: x\n", "top.yaml"))


def test_overrides_apply_in_order_with_yaml_values(write):
    overrides = [
        "train.steps=5",
        "train.steps=6",
        "scene.room.rt60_s=[0.2, 0.3]",
        "scene.noise_snr_db=null",
        "corpus.source=audiocaps:some dir",
        "train={lr: 0.5}",
        "train.ema=1e-1",
        "name=other",
    ]
    source = write("name: x\nscene: {noise_snr_db: [1, 2]}\n")
    recipe = load_recipe(source, overrides)
    assert recipe == recipe_from_dict(
        {
            "name": "other",
            "scene": {"room": {"rt60_s": [0.2, 0.3]}},
            "corpus": {"source": "audiocaps:some dir"},
            "train": {"steps": 6, "lr": 0.5, "ema": 0.1},
        }
    )


def test_bad_overrides_are_explained_with_everything_else(write):
    lines = problems(
        write("name: x\nsede: 1\n"),
        ["train.step=5", "name", "=3", "seed.x=3", "train.lr=[", "eval..count=3"],
    )
    assert lines[0].endswith(
        "bad.yaml with --set train.step=5 name =3 seed.x=3 train.lr=[ eval..count=3: 7 problem(s)"
    )
    expected = [
        "--set name: no value given; write section.key=value",
        "--set =3: no value given; write section.key=value",
        "--set train.lr=[: line 1",
        "seed: Input should be a valid integer",
        "train: unknown key 'step'; did you mean 'steps'?",
        "eval: unknown key ''; known keys: count, seed",
        "recipe: unknown key 'sede'; did you mean 'seed'?",
    ]
    assert [line.strip()[: len(end)] for line, end in zip(lines[1:], expected, strict=True)] == (
        expected
    )


def test_a_bad_override_alone_is_an_error_too(write):
    source = write("name: x\n", "good.yaml")
    assert problems(source, ["seed"])[1:] == [
        "  --set seed: no value given; write section.key=value"
    ]


def test_an_unknown_name_gets_the_nearest_and_the_list():
    (line,) = problems("tinny")
    known = ", ".join(bundled_recipes())
    assert line == (
        "'tinny': no such recipe; did you mean 'tiny'?; "
        f"give one of {known} or the path of a YAML file"
    )


def test_a_path_that_is_missing_is_named(tmp_path):
    path = tmp_path / "gone.yaml"
    assert problems(str(path)) == [f"{path}: no such file; check the path"]


def test_a_recipe_needs_no_yaml_suffix(write):
    assert load_recipe(write("name: x\n", "pipe")).name == "x"


def test_values_that_are_no_mapping_are_refused():
    with pytest.raises(RecipeError, match=r"model\.safetensors: 1 problem"):
        recipe_from_dict([1, 2], "model.safetensors")


def test_defaults_are_those_of_the_founding_paper():
    recipe = Recipe(name="x")
    assert recipe.scene.room.rt60_s == (0.5, 1.0)
    assert recipe.scene.array.spacing_m == (0.1, 0.13)
