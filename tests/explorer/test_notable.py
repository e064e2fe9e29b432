"""The gallery, on a model with planted rays: one worth a look, one of frequent words, one of untrained tokens."""

import random
import string

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from app.core.address import parse
from app.explorer import browse, notable
from app.explorer.browse import Options
from app.explorer.notable import readable_share
from app.models.importer import import_model
from app.models.vocabulary import Vocabulary

D_VOCAB, D_MODEL, D_HEAD = 600, 32, 8
GOOD, FREQUENT, COLLAPSED = range(100, 110), range(1, 11), range(200, 210)
PLANTED = {0: GOOD, 1: FREQUENT, 2: COLLAPSED}
"""Head of layer 1 -> the tokens that its first direction writes."""


@pytest.fixture(scope="module")
def planted(open_explorer, write_gpt2, tmp_path_factory):
    folder = write_gpt2(tmp_path_factory.mktemp("planted") / "planted", _tokenizer(), seed=2)
    tensors = load_file(folder / "model.safetensors")
    noise = np.random.default_rng(0)
    W_E, W_O = tensors["transformer.wte.weight"], tensors["transformer.h.1.attn.c_proj.weight"]
    W_E[:] = noise.normal(size=W_E.shape) * 0.3
    tensors["transformer.ln_f.weight"][:] = 1
    for head, tokens in PLANTED.items():
        direction = noise.normal(size=D_MODEL)
        direction = (direction - direction.mean()) / np.linalg.norm(direction)
        spread = 0.01 if tokens is COLLAPSED else 0.25
        W_E[list(tokens)] = 2 * direction + noise.normal(size=(10, D_MODEL)) * spread
        W_O[head * D_HEAD] = 60 * direction
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    data = tmp_path_factory.mktemp("planted-data")
    import_model(str(folder), data, slug="planted", report=lambda step: None)
    return open_explorer(data, models=("planted",))


def _tokenizer():
    letters = random.Random(0)
    vocabulary = {"<|endoftext|>": 0}
    while len(vocabulary) < D_VOCAB:
        vocabulary["Ġ" + "".join(letters.choices(string.ascii_lowercase, k=6))] = len(vocabulary)
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return tokenizer


def tokens_of(ray):
    side = ray.direction.right
    return {token.id for token in (side.plus if ray.ray == "p" else side.minus)}


def test_the_gallery_opens_with_the_planted_ray(planted, patiently):
    page = patiently(browse.notable, planted, parse("planted"), Options())
    assert str(page.rays[0].direction.address) == "planted/L1/H0/ov/svd/0"
    assert tokens_of(page.rays[0]) == set(GOOD)


def test_frequent_and_untrained_tokens_are_left_out(planted, patiently):
    shown = [tokens_of(ray) for ray in patiently(browse.notable, planted, parse("planted"), Options()).rays]
    for head in (1, 2):
        first = browse.direction(planted, parse(f"planted/L1/H{head}/ov/svd/0"), Options()).direction.right
        rays = [{token.id for token in ray[:10]} for ray in (first.plus, first.minus)]
        assert set(PLANTED[head]) in rays  # the planting took
        assert set(PLANTED[head]) not in shown


def test_at_most_one_ray_a_head_in_falling_order(planted, patiently):
    page = patiently(browse.notable, planted, parse("planted"), Options())
    heads = [(ray.direction.address.layer, ray.direction.address.head) for ray in page.rays]
    assert len(heads) == len(set(heads)) > 3
    assert len(heads) <= notable.N_RAYS
    assert all(ray.direction.index < notable.N_DIRECTIONS for ray in page.rays)
    # Every token here is a whole word, so merit is coherence.
    assert [ray.coherence for ray in page.rays] == sorted((ray.coherence for ray in page.rays), reverse=True)


def test_coherence_is_the_mean_pairwise_cosine(planted, patiently):
    page = patiently(browse.notable, planted, parse("planted"), Options(weights="raw"))
    (weights,) = planted.data.glob("weights/*/embeddings.safetensors")
    W_E = load_file(weights)["embed.W_E"].astype(np.float64)
    centred = W_E - W_E.mean(axis=0)
    for ray in page.rays:
        side = ray.direction.right
        ids = [token.id for token in (side.plus if ray.ray == "p" else side.minus)]
        unit = centred[ids] / np.linalg.norm(centred[ids], axis=1, keepdims=True)
        pairs = (unit @ unit.T)[np.triu_indices(len(ids), 1)]
        assert ray.coherence == pytest.approx(pairs.mean(), abs=1e-5)


def test_the_gallery_shows_the_directions_as_their_pages_do(planted, patiently):
    for ray in patiently(browse.notable, planted, parse("planted"), Options()).rays[:3]:
        whole = browse.direction(planted, ray.direction.address, Options()).direction
        assert ray.direction.singular_value == whole.singular_value
        assert ray.direction.energy_share == whole.energy_share
        for side in ("left", "right"):
            for end in ("plus", "minus"):
                little, large = (getattr(getattr(page, side), end) for page in (ray.direction, whole))
                assert [token.id for token in little] == [token.id for token in large][:10]


def test_a_vocabulary_without_words_has_an_empty_gallery(explorer, patiently, monkeypatch):
    monkeypatch.setattr(notable, "readable_share", lambda *_: None)
    page = patiently(browse.notable, explorer, parse("tiny"), Options(weights="raw"))
    assert page.rays == ()


def test_whole_words_are_counted_and_frequent_ones_refused(gpt2_folder):
    vocabulary = Vocabulary(gpt2_folder / "tokenizer.json", 304)
    by_text = {vocabulary.entry(id_).text: id_ for id_ in range(300)}
    words = [by_text[word] for word in (" that", " with", " his", " her")]
    pieces = [by_text[word] for word in ("that", "with", "his", "her")]
    letters = [by_text[letter] for letter in "abcdefghij"]
    assert readable_share(words, vocabulary) == 1
    assert readable_share(words + pieces[:1], vocabulary) == 0.8
    assert readable_share(words + pieces, vocabulary) is None
    assert readable_share(letters, vocabulary) is None
    assert readable_share(words + letters, vocabulary) is None
