"""The oracle reads random directions in float64 from a checkpoint's own tensors, and compares their tokens pair by pair."""

import math
import unicodedata
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from app.core.judging import coherence, collapse, spelling
from app.core.judging.rays import BEYOND_LENGTHS, FORM_LENGTHS, LENGTHS, SPELLING_LENGTHS
from app.core.steps import run
from app.explorer import recipes
from app.explorer.layout import CONTROL_DIRECTIONS, CONTROL_SHOWN, CONTROL_TOKENS
from app.explorer.library import Library
from app.explorer.making.context import Context
from app.explorer.making.judging import controls
from app.explorer.making.judging.controls import load_control
from app.explorer.making.tables import Tables
from app.explorer.recipes import CONTROL_SEED
from app.models.catalog import Catalog
from app.models.token_filter import EVERY, TokenFilter
from app.store.artifacts import ArtifactStore

N_KNOWN, D_MODEL = 300, 32
COSINE = TokenFilter(readout="cosine")
LOOKED_AT = 25
"""Random directions that the oracle takes its time for."""


@pytest.fixture
def fresh(seen_of, tmp_path):
    """fresh("raw", …): a context of the tiny model, or of another family, with nothing computed yet."""

    def build(processing, token_filter=EVERY, family="gpt2"):
        r, slug = seen_of(family)
        store = ArtifactStore(tmp_path / "artifacts", 10**9)
        return Context(Tables("cpu"), r.library.model(slug), processing, store, token_filter)

    return build


@pytest.fixture
def few(monkeypatch):
    """Models of 97 tokens may have a control."""
    monkeypatch.setattr(controls, "MIN_TOKENS", 60)


def random_directions():
    drawn = (
        torch.randn(CONTROL_DIRECTIONS, D_MODEL, generator=torch.Generator().manual_seed(CONTROL_SEED)).double().numpy()
    )
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def top_tokens(vectors, table, ids):
    """[n 2 50] of those ids."""
    scores = vectors @ table[ids].T
    return np.stack([ids[np.argsort(sign * scores, axis=1, kind="stable")[:, :50]] for sign in (-1, 1)], axis=1)


def coherences(table, trained, rays):
    """[n n_lengths] of rays with these tokens."""
    own = units(table, trained)
    found = [in_pairs(own, ray[np.isin(ray, trained)][:length]) for ray in rays for length in LENGTHS]
    return np.array(found).reshape(len(rays), len(LENGTHS))


def units(table, trained):
    """Without what the trained tokens share."""
    centred = table - table[trained].mean(axis=0)
    components = np.linalg.svd(centred[trained], full_matrices=False)[2][: table.shape[1] // 16]
    own = centred - centred @ components.T @ components
    return own / np.linalg.norm(own, axis=1, keepdims=True)


def in_pairs(own, tokens):
    """The weighted mean cosine of all pairs of them."""
    chosen = own[tokens]
    weights = 1 / np.log2(np.arange(2, len(chosen) + 2))
    pairs = np.triu(np.outer(weights, weights), 1)
    return (pairs * (chosen @ chosen.T)).sum() / pairs.sum()


def word_of(text):
    """What a text is without case, width and space around; None without letters."""
    plain = unicodedata.normalize("NFKC", text).casefold().strip()
    return plain if any(letter.isalpha() for letter in plain) and not text.startswith("<0x") else None


def traits_of(word):
    letters = "".join(letter for letter in word if letter.isalpha())
    affixes = {} if len(letters) < 3 else {n: letters[:n] for n in (1, 2, 3)} | {-n: letters[-n:] for n in (1, 2, 3)}
    scripts = {unicodedata.name(letter, "unnamed").split()[0] for letter in letters}
    return affixes | {"script": min(scripts) if len(scripts) == 1 else "", "digits": any(map(str.isdecimal, word))}


class Words:
    """What the texts of a vocabulary say of rays, one token after the other."""

    def __init__(self, texts):
        self.words = [word_of(text) for text in texts]
        self.traits = {word: traits_of(word) for word in self.words if word is not None}
        self.counts = Counter(item for of in self.traits.values() for item in of.items())

    def bits(self, word, other):
        """Of surprise in what two words share."""
        shared = self.traits[word].items() & self.traits[other].items()
        return sum(min(8, -math.log2(self.counts[item] / len(self.traits))) for item in shared)

    def are_akin(self, word, other):
        return any(self.traits[word].get(n, 0) == self.traits[other].get(n, 1) for n in (3, -3))

    def told(self, own, tokens):
        """The numbers of a ray with these trained tokens, as `measured` names them."""
        seen, ids = [], []
        for token in tokens:
            word = self.words[token]
            if word is not None and word not in seen:
                seen.append(word)
                ids.append(token)
        apart = [id_ for i, id_ in enumerate(ids) if not any(self.are_akin(seen[i], before) for before in seen[:i])]
        bare = [self.words[token] is None for token in tokens]
        return {
            "forms": [in_pairs(own, ids[:n]) if len(ids) >= n else np.nan for n in FORM_LENGTHS],
            "beyond": [in_pairs(own, apart[:n]) if len(apart) >= n else np.nan for n in BEYOND_LENGTHS],
            "spelling": [self.spelling(seen[:n]) if len(seen) >= n else np.nan for n in SPELLING_LENGTHS],
            "n_forms": len(ids),
            "letterless": sum(bare[:10]) > len(bare[:10]) / 2 or sum(bare) > len(bare) / 2,
        }

    def spelling(self, words):
        pairs = [self.bits(word, other) for i, word in enumerate(words) for other in words[:i]]
        return sum(pairs) / len(pairs)


@pytest.mark.parametrize("end", ["read", "write"])
@pytest.mark.parametrize("processing", ["raw", "folded"])
def test_a_control_is_what_random_directions_read(fresh, oracle_of, end, processing):
    context = fresh(processing)
    found, kept = load_control(context, end), run(controls.make_control(context, end))[0]
    table, vectors = oracle_of("gpt2").table(end, processing), random_directions()[:LOOKED_AT]
    ids = top_tokens(vectors, table, np.arange(N_KNOWN))
    np.testing.assert_array_equal(kept["ids"][:LOOKED_AT], ids[..., :CONTROL_TOKENS])
    assert kept["ids"].shape == (CONTROL_SHOWN, 2, CONTROL_TOKENS)
    assert kept["trained"].tolist() == [True] * N_KNOWN + [False] * 4  # random vectors are far from each other
    expected = coherences(table, np.arange(N_KNOWN), ids.reshape(-1, 50)).reshape(LOOKED_AT, 2, 3)
    assert found.coherence.shape == (CONTROL_DIRECTIONS, 2, 3)
    np.testing.assert_allclose(found.coherence[:LOOKED_AT], expected, atol=1e-3)
    assert found.coherence.std(axis=(0, 1)).min() > 0.01  # which is no tolerance that all would pass


def texts_of(vocabulary):
    return [entry.text for entry in map(vocabulary.entry, range(N_KNOWN))]


@pytest.fixture(scope="module")
def demo_context(demo_data, tmp_path_factory):
    """Of the demo model as stored: its vocabulary has words in several spellings, as the tiny ones have not."""
    model = Library(Catalog(demo_data)).model("demo")
    return Context(Tables("cpu"), model, "raw", ArtifactStore(tmp_path_factory.mktemp("artifacts"), 10**9))


@pytest.fixture(scope="module")
def demo_words(demo_context):
    vocabulary = demo_context.model.vocabulary
    return Words([vocabulary.entry(id_).text for id_ in range(vocabulary.size)])


def embedded(context):
    """The model's tokens, and which of them are trained."""
    table = context.model.weights().embeddings().W_E.double().numpy()
    return table, np.flatnonzero(run(controls.make_control(context, "write"))[0]["trained"])


def test_forms_are_counted_once_and_compared_word_by_word(demo_context, demo_words):
    """A word in all its spellings fills half of a ray, what is no word half of another, and of one nearly all."""
    judge, (table, trained) = load_control(demo_context, "write").judge, embedded(demo_context)
    of_form = {}
    for id_ in trained.tolist():
        of_form.setdefault(demo_words.words[id_], []).append(id_)
    spelt = sorted((ids for word, ids in of_form.items() if word), key=len, reverse=True)
    several, bare = np.concatenate(spelt[:40]), np.array(of_form[None])
    draw = np.random.default_rng(0)
    rays = [draw.permutation(trained)[:50] for _ in range(6)]
    for ray, (among, n) in zip(
        rays, ((several, 25), (several, 50), (bare, 25), (bare, 46), (several, 30)), strict=False
    ):
        ray[draw.permutation(50)[:n]] = draw.permutation(among)[:n]
    ids = np.array(rays, np.int32).reshape(3, 2, 50)
    found, own = controls.measure_rays(judge, ids), units(table, trained)
    for place, tokens in zip(np.ndindex(3, 2), rays, strict=True):
        for name, value in demo_words.told(own, tokens).items():
            assert found[name][place] == pytest.approx(np.array(value), abs=1e-3, nan_ok=True), name
    assert len(np.unique(found["n_forms"])) == 6
    assert found["letterless"].any()
    assert not found["letterless"].all()
    assert np.isnan(found["forms"]).any(axis=-1).sum() > 1


def test_a_control_has_the_forms_of_random_rays(fresh, oracle_of):
    context = fresh("raw")
    table, words = oracle_of("gpt2").table("write", "raw"), Words(texts_of(context.model.vocabulary))
    found, own = load_control(context, "write"), units(table, np.arange(N_KNOWN))
    ids = top_tokens(random_directions()[:LOOKED_AT], table, np.arange(N_KNOWN))
    for place in np.ndindex(LOOKED_AT, 2):
        told = words.told(own, ids[place])
        for name in ("forms", "beyond", "spelling"):
            assert getattr(found, name)[place] == pytest.approx(np.array(told[name]), abs=1e-3, nan_ok=True), name
    assert np.isfinite(found.forms[:LOOKED_AT]).any()


def test_it_is_computed_once_kept_and_found_again(fresh, monkeypatch):
    context, measured = fresh("folded"), []
    monkeypatch.setattr(
        controls, "_measure_random", lambda *words, own=controls._measure_random: measured.append(0) or own(*words)
    )
    first = load_control(context, "write")
    assert load_control(context, "write") is first
    assert load_control(context, "read") is load_control(context, "query") is load_control(context, "key") is not first
    again = load_control(replace(context, tables=Tables("cpu")), "write")
    np.testing.assert_array_equal(again.coherence, first.coherence)
    np.testing.assert_array_equal(again.judge.words.units.numpy(), first.judge.words.units.numpy())
    assert len(measured) == 2
    stored = context.store.load(recipes.control(context.model, "write", "folded", EVERY))
    assert stored.facts == {"trained": N_KNOWN}


def test_as_stored_a_tied_model_has_one_control(fresh):
    context = fresh("raw")
    assert load_control(context, "write") is load_control(context, "read")


def test_a_control_that_is_held_may_outlive_its_file(fresh, tmp_path):
    context = fresh("folded")
    held = load_control(context, "write")
    emptied = replace(context, store=ArtifactStore(tmp_path / "other", 10**9))
    arrays, facts = run(controls.make_control(emptied, "write"))
    np.testing.assert_array_equal(arrays["coherence"], held.coherence)
    assert facts == {"trained": N_KNOWN}


@pytest.mark.parametrize(
    "token_filter",
    [TokenFilter(starts=True), TokenFilter(ascii=True), TokenFilter(frequent=150), TokenFilter(plain=True)],
)
@pytest.mark.parametrize("whole_first", [True, False])
def test_each_filter_has_its_own(fresh, oracle_of, monkeypatch, token_filter, whole_first):
    monkeypatch.setattr(controls, "MIN_TOKENS", 20)
    context = fresh("folded", token_filter)
    if whole_first:
        whole = load_control(replace(context, token_filter=EVERY), "write")
    found, kept = load_control(context, "write"), run(controls.make_control(context, "write"))[0]
    ids = found.judge.table.ids.numpy()
    rules = {
        "starts": lambda entry: entry.text[0] == " " and entry.text[1:2].isalpha(),
        "ascii": lambda entry: entry.kind == "text" and entry.text.isascii(),
        "frequent": lambda entry: entry.id >= 150,
        "plain": lambda entry: entry.kind != "special",
    }
    ((name, _),) = token_filter.parameters().items()
    assert ids.tolist() == [id_ for id_ in range(N_KNOWN) if rules[name](context.model.vocabulary.entry(id_))]
    table = oracle_of("gpt2").table("write", "folded")
    expected = top_tokens(random_directions()[:LOOKED_AT], table, ids)
    np.testing.assert_array_equal(kept["ids"][:LOOKED_AT], expected[..., :CONTROL_TOKENS])
    # What is taken out of the vectors is what the whole vocabulary shares.
    alike = coherences(table, np.arange(N_KNOWN), expected.reshape(-1, expected.shape[2]))
    np.testing.assert_allclose(found.coherence[:LOOKED_AT], alike.reshape(LOOKED_AT, 2, 3), atol=1e-3)
    if whole_first:
        assert found is not load_control(replace(context, token_filter=EVERY), "write") is whole


@pytest.mark.parametrize("frequent", [0, 150])
@pytest.mark.parametrize("whole_first", [True, False])
def test_cosines_have_a_control_of_their_own(fresh, oracle_of, frequent, whole_first):
    """Of tokens of unit length, which share another mean, and other components."""
    context = fresh("raw", TokenFilter(frequent=frequent, readout="cosine"))
    if whole_first:
        whole = load_control(replace(context, token_filter=TokenFilter(readout="cosine")), "write")
        load_control(replace(context, token_filter=EVERY), "write")
    found, kept = load_control(context, "write"), run(controls.make_control(context, "write"))[0]
    table, ids = oracle_of("gpt2").table("write", "raw")[:N_KNOWN], np.arange(frequent, N_KNOWN)
    table = table / np.linalg.norm(table, axis=1, keepdims=True)
    expected = top_tokens(random_directions()[:LOOKED_AT], table, ids)
    np.testing.assert_array_equal(kept["ids"][:LOOKED_AT], expected[..., :CONTROL_TOKENS])
    alike = coherences(table, np.arange(N_KNOWN), expected.reshape(-1, expected.shape[2]))
    np.testing.assert_allclose(found.coherence[:LOOKED_AT], alike.reshape(LOOKED_AT, 2, 3), atol=1e-3)
    if whole_first:
        assert (found is whole) == (frequent == 0)
    dot = load_control(replace(context, token_filter=TokenFilter(frequent=frequent)), "write")
    assert np.abs(dot.coherence[:LOOKED_AT] - found.coherence[:LOOKED_AT]).max() > 0.01


def collapsed(context, monkeypatch, n):
    """The model with its last n tokens on one point, as far out as others are; its known rows."""
    weights, draw = context.model.weights(), torch.Generator().manual_seed(1)
    embeddings = weights.embeddings()
    W_E = embeddings.W_E.clone()
    W_E[N_KNOWN - n : N_KNOWN] = W_E[0] + 0.01 * torch.randn(n, D_MODEL, generator=draw)
    W_E[0] = W_E[1:100].mean(dim=0)
    changed = replace(embeddings, W_E=W_E, W_U=W_E.T)
    monkeypatch.setattr(type(weights), "embeddings", lambda _: changed)
    return W_E[:N_KNOWN].double().numpy()


def test_tokens_that_were_never_trained_are_passed_over(fresh, monkeypatch):
    context = fresh("raw")
    table = collapsed(context, monkeypatch, 60)
    found, (kept, facts) = load_control(context, "write"), run(controls.make_control(context, "write"))
    assert facts == {"trained": N_KNOWN - 60}
    assert kept["trained"].sum() == N_KNOWN - 60
    assert (kept["ids"] >= N_KNOWN - 60).any()  # they are still read out
    ids = top_tokens(random_directions()[:LOOKED_AT], table, np.arange(N_KNOWN)).reshape(-1, 50)
    rays = found.coherence[:LOOKED_AT].reshape(-1, 3)
    n_trained = (ids < N_KNOWN - 60).sum(axis=1)
    words, own = Words(texts_of(context.model.vocabulary)), units(table, np.arange(N_KNOWN - 60))
    for ray, forms, spelt in zip(
        ids, found.forms[:LOOKED_AT].reshape(-1, 4), found.spelling.reshape(-1, 2), strict=False
    ):
        told = words.told(own, ray[ray < N_KNOWN - 60])
        assert forms == pytest.approx(np.array(told["forms"]), abs=1e-3, nan_ok=True)
        assert spelt == pytest.approx(np.array(told["spelling"]), rel=1e-5, nan_ok=True)
    known = np.stack([n_trained >= 10, n_trained >= 20, n_trained >= 20], axis=1)
    np.testing.assert_array_equal(~np.isnan(rays), known)
    assert known.all(axis=1).any()
    assert not known.all()
    rows = np.flatnonzero(known.all(axis=1))
    expected = coherences(table, np.arange(N_KNOWN - 60), ids[rows])
    np.testing.assert_allclose(rays[rows], expected, atol=1e-3)


def test_plain_leaves_them_out_of_the_table(fresh, monkeypatch):
    context = fresh("raw", TokenFilter(plain=True))
    collapsed(context, monkeypatch, 60)
    ids = load_control(context, "write").judge.table.ids
    assert ids.tolist() == list(range(1, N_KNOWN - 60))  # 0 is <|endoftext|>


@pytest.mark.parametrize("readout", ["dot", "cosine"])
def test_what_a_control_found_out_of_tokens_is_not_found_out_again(fresh, monkeypatch, readout):
    """Neither in this process nor, from what was kept, in the next one."""
    context = fresh("raw", TokenFilter(plain=True, readout=readout))
    collapsed(context, monkeypatch, 60)
    for whole in {EVERY, TokenFilter(readout=readout)}:
        assert load_control(replace(context, token_filter=whole), "write") is not None
    monkeypatch.setattr(collapse, "is_trained", None)
    for again in (context, replace(context, tables=Tables("cpu"))):
        assert load_control(again, "write").judge.table.ids.tolist() == list(range(1, N_KNOWN - 60))


@pytest.mark.parametrize(("token_filter", "n_steps"), [(EVERY, 4), (TokenFilter(frequent=100), 2)])
def test_it_gives_way_between_its_parts(fresh, token_filter, n_steps):
    """Of a filter there are fewer, once what all filters share is there."""
    context = fresh("raw", token_filter)
    if token_filter:
        load_control(replace(context, token_filter=EVERY), "read")
    assert len(list(controls.make_control(context, "read"))) == n_steps
    assert len(list(controls.make_control(context, "read"))) == 0


def test_too_few_trained_tokens_make_no_control(fresh, monkeypatch):
    context = fresh("raw")
    collapsed(context, monkeypatch, 201)
    assert load_control(context, "write") is None
    arrays, facts = run(controls.make_control(context, "write"))
    assert "coherence" not in arrays
    assert facts["trained"] == N_KNOWN - 201
    assert load_control(replace(context, tables=Tables("cpu")), "write") is None  # found again


@pytest.mark.parametrize("value", [0.0, 0.1])
def test_tokens_that_are_all_equal_make_no_control(fresh, monkeypatch, value):
    context = fresh("raw")
    embeddings = context.model.weights().embeddings()
    equal = torch.full_like(embeddings.W_E, value)
    changed = replace(embeddings, W_E=equal, W_U=equal.T)
    monkeypatch.setattr(type(context.model.weights()), "embeddings", lambda _: changed)
    assert load_control(context, "write") is None


def test_a_small_vocabulary_makes_none(fresh):
    assert load_control(fresh("raw", family="llama"), "read") is None
    assert load_control(fresh("raw", TokenFilter(frequent=250)), "read") is None


@pytest.mark.usefixtures("few")
def test_padding_is_in_no_control(fresh):
    context = fresh("folded", family="llama")
    assert len(load_control(context, "write").judge.table.ids) == 97
    kept = run(controls.make_control(context, "write"))[0]
    assert kept["ids"].max() == 96
    assert kept["trained"].tolist() == [True] * 97 + [False] * 3


@pytest.mark.usefixtures("few")
def test_an_encoder_is_judged_by_what_its_embedding_says(fresh, oracle_of):
    context = fresh("raw", family="bert")
    found = load_control(context, "write")
    kept = run(controls.make_control(context, "write"))[0]
    table = oracle_of("bert").table("write", "raw")
    ids = top_tokens(random_directions()[:LOOKED_AT], table, np.arange(97))
    np.testing.assert_array_equal(kept["ids"][:LOOKED_AT], ids[..., :CONTROL_TOKENS])
    expected = coherences(table, np.arange(97), ids.reshape(-1, 50)).reshape(LOOKED_AT, 2, 3)
    np.testing.assert_allclose(found.coherence[:LOOKED_AT], expected, atol=1e-3)
    np.testing.assert_array_equal(load_control(context, "read").coherence, found.coherence)


def test_recipes_differ_where_controls_do(fresh):
    model = fresh("raw").model
    found = [
        recipes.control(model, end, processing, token_filter).hash
        for end in ("read", "write")
        for processing in ("raw", "folded")
        for token_filter in (EVERY, TokenFilter(ascii=True), TokenFilter(frequent=1), TokenFilter(frequent=2), COSINE)
    ]
    assert len(set(found)) == len(found)


def test_what_decides_the_measure_is_what_measures():
    said = {
        name: recipes.MEASURED[name] for name in ("least", "removed", "neighbours", "collapsed", "most_bits", "word")
    }
    assert said == {
        "least": coherence.LEAST,
        "removed": coherence.REMOVED,
        "neighbours": collapse.NEIGHBOURS,
        "collapsed": collapse.COLLAPSED,
        "most_bits": spelling.MOST_BITS,
        "word": spelling.WORD,
    }
