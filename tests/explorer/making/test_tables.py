import logging
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import layer_norm

from app.core.exact import readout
from app.core.judging import collapse
from app.core.measuring import scores
from app.explorer import inventory
from app.explorer.errors import BadOption, ComputationFailed
from app.explorer.library import Library
from app.explorer.making import tables as tables_module
from app.explorer.making.tables import Tables
from app.models.catalog import Catalog
from app.models.token_filter import TokenFilter


@pytest.fixture
def model(explorer):
    return explorer.library.model("tiny")


@pytest.fixture
def vectors():
    return torch.randn(9, 32, generator=torch.Generator().manual_seed(0))


def assert_same(one, other):
    assert set(one) == set(other)
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name])


def test_tables_are_built_once_and_only_so_many_are_kept(model, monkeypatch):
    monkeypatch.setattr(tables_module, "MAX_TABLES", 2)
    tables = Tables("cpu")
    folded_read = tables.table(model, "folded", "read")
    assert tables.table(model, "folded", "query") is folded_read
    assert tables.table(model, "folded", "key") is folded_read
    raw = tables.table(model, "raw", "read")
    assert tables.table(model, "raw", "write") is raw  # a tied model's one matrix
    assert tables.table(model, "folded", "read") is folded_read
    tables.table(model, "folded", "write")
    assert len(tables._tables) == 2
    assert tables.table(model, "folded", "read") is folded_read  # raw was used longest ago
    assert tables.table(model, "raw", "read") is not raw


def test_bloom_reads_what_its_embedding_norm_leaves(member):
    """Against the checkpoint's tensors in float64: the embedding, its own norm, and the norm before attention."""
    bloom = member("bloom")
    table = Tables("cpu").table(Library(Catalog(bloom.data)).model("bloom"), "folded", "read")
    stored = {name: tensor.double() for name, tensor in load_file(bloom.folder / "model.safetensors").items()}
    gain, shift = (stored[f"transformer.word_embeddings_layernorm.{kind}"] for kind in ("weight", "bias"))
    stream = layer_norm(stored["transformer.word_embeddings.weight"], (32,), gain, shift, 1e-5)
    expected = layer_norm(stream, (32,), eps=1e-5)
    torch.testing.assert_close(table.vectors.double(), expected[: len(table.vectors)], rtol=1e-5, atol=1e-5)


def test_by_cosine_tokens_have_unit_length(model, vectors, oracle_of, monkeypatch):
    """Against the plain product in float64, a token of zeros among them."""
    weights = model.weights()
    embeddings = weights.embeddings()
    W_E = embeddings.W_E.clone()
    W_E[7] = 0
    monkeypatch.setattr(type(weights), "embeddings", lambda _: replace(embeddings, W_E=W_E, W_U=W_E.T))
    found = Tables("cpu").read(model, "raw", "write", vectors, 300, TokenFilter(readout="cosine"))
    table = oracle_of("gpt2").table("write", "raw")[:300].copy()
    table[7] = 0
    lengths = np.linalg.norm(table, axis=1)
    units = table / np.where(lengths > 0, lengths, 1)[:, None]
    scores = vectors.double().numpy() @ units.T
    np.testing.assert_allclose(found["top_scores"], -np.sort(-scores, axis=1), atol=2e-6)
    np.testing.assert_allclose(np.take_along_axis(scores, found["top_ids"], 1), found["top_scores"], atol=2e-6)
    np.testing.assert_array_equal(found["top_ids"][:, ::-1][:, :10], found["bottom_ids"][:, :10])
    assert (found["top_scores"][found["top_ids"] == 7] == 0).all()
    lengths_of = np.linalg.norm(vectors.numpy(), axis=1)
    assert (np.abs(found["top_scores"]) <= 1.00001 * lengths_of[:, None]).all()
    dot = Tables("cpu").read(model, "raw", "write", vectors, 300)
    assert (dot["top_ids"][:, :10] != found["top_ids"][:, :10]).any()


def test_a_full_device_reads_in_smaller_batches(model, vectors, monkeypatch, caplog):
    expected = Tables("cpu").read(model, "folded", "write", vectors, 5)
    sizes = []

    def read(table, batch, *, k, whole=readout.read):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError
        return whole(table, batch, k)

    monkeypatch.setattr(readout, "read", read)
    with caplog.at_level(logging.WARNING):
        assert_same(Tables("cpu").read(model, "folded", "write", vectors, 5), expected)
    assert sizes[:3] == [9, 5, 3]
    assert "short of memory" in caplog.text


def test_a_table_without_room_on_the_device_is_kept_by_the_cpu(model, vectors, monkeypatch, caplog):
    expected = Tables("cpu").read(model, "folded", "write", vectors, 5)
    full = iter([True])

    def token_table(*words, build=readout.token_table):
        if next(full, False):
            raise torch.OutOfMemoryError
        return build(*words)

    monkeypatch.setattr(readout, "token_table", token_table)
    with caplog.at_level(logging.WARNING):
        assert_same(Tables("cpu").read(model, "folded", "write", vectors, 5), expected)
    assert "on the CPU from now on" in caplog.text


def test_a_device_that_cannot_read_one_vector_leaves_the_work_to_the_cpu(model, vectors, monkeypatch, caplog):
    expected = Tables("cpu").read(model, "folded", "write", vectors, 5)
    tables = Tables("cpu")

    def read(table, batch, *, k, whole=readout.read):
        if "from now on" not in caplog.text:
            raise torch.OutOfMemoryError
        return whole(table, batch, k)

    monkeypatch.setattr(readout, "read", read)
    with caplog.at_level(logging.WARNING):
        assert_same(tables.read(model, "folded", "write", vectors, 5), expected)


def test_a_failed_attempt_holds_nothing_while_the_next_runs(model, vectors, monkeypatch):
    """As a GPU would run it: what the first attempt had put into memory is what the second has no room for."""
    attempts = []

    def read(table, batch, *, k, whole=readout.read):
        assert [one() for one in attempts] == [None] * len(attempts)
        taken = torch.zeros(100)
        attempts.append(weakref.ref(taken))
        if len(attempts) <= 5:  # nine vectors, five, three, two, one
            raise torch.OutOfMemoryError
        return whole(table, batch, k)

    monkeypatch.setattr(readout, "read", read)
    Tables("cpu").read(model, "folded", "write", vectors, 5)
    assert len(attempts) == 6


def test_copying_scores_go_to_the_cpu_where_the_device_has_no_room(model, monkeypatch, caplog):
    expected = Tables("cpu").gram(model, "folded")
    full = iter([True])

    def stream_gram(*words, multiply=scores.stream_gram):
        if next(full, False):
            raise torch.OutOfMemoryError
        return multiply(*words)

    monkeypatch.setattr(scores, "stream_gram", stream_gram)
    with caplog.at_level(logging.WARNING):
        assert torch.equal(Tables("cpu").gram(model, "folded"), expected)
    assert "on the CPU from now on" in caplog.text


def test_where_even_the_cpu_has_no_room_it_is_said(model, vectors, monkeypatch):
    def read(table, batch, *, k):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(readout, "read", read)
    with pytest.raises(MemoryError):
        Tables("cpu").read(model, "folded", "write", vectors, 5)


def test_no_vectors_have_no_readouts(model):
    nothing = Tables("cpu").read(model, "raw", "read", torch.zeros(0, 32), 5)
    assert nothing["top_ids"].shape == (0, 5)
    assert nothing["counts"].shape[0] == 0


def test_auto_is_a_device_that_is_there(model, vectors):
    tables = Tables("auto")
    tables.read(model, "raw", "read", vectors, 5)
    assert tables._device == ("cuda" if torch.cuda.is_available() else "cpu")


def test_a_device_that_is_not_there_is_named(model, vectors):
    with pytest.raises(ComputationFailed, match="cuda:99"):
        Tables("cuda:99").read(model, "raw", "read", vectors, 5)


@pytest.fixture
def with_untrained(model, monkeypatch):
    """The model with tokens 240 to 299 on one point."""
    weights, draw = model.weights(), torch.Generator().manual_seed(1)
    W_E = weights.embeddings().W_E.clone()
    W_E[240:300] = torch.randn(32, generator=draw) + 0.01 * torch.randn(60, 32, generator=draw)
    changed = replace(weights.embeddings(), W_E=W_E, W_U=W_E.T)
    monkeypatch.setattr(type(weights), "embeddings", lambda _: changed)
    return model


@pytest.mark.parametrize("processing", ["raw", "folded"])
@pytest.mark.parametrize("side", ["read", "write"])
@pytest.mark.parametrize(("frequent", "left"), [(230, 10), (221, 19), (240, 0), (299, 0)])
def test_too_few_trained_tokens_are_refused_with_how_many_there_are(with_untrained, processing, side, frequent, left):
    tables, token_filter = Tables("cpu"), TokenFilter(plain=True, frequent=frequent)
    with pytest.raises(
        BadOption, match=f"leaves {left} of 304 tokens, those that were never .* at least 20 are needed"
    ):
        tables.table(with_untrained, processing, side, token_filter)
    assert len(tables.table(with_untrained, processing, side, TokenFilter(plain=True, frequent=220)).ids) == 20


def test_who_was_trained_is_found_once_for_all_filters(with_untrained, monkeypatch):
    asked = []
    monkeypatch.setattr(collapse, "is_trained", lambda *given, own=collapse.is_trained: asked.append(0) or own(*given))
    tables = Tables("cpu")
    first, second = (
        tables.table(with_untrained, "folded", "read", token_filter).ids.tolist()
        for token_filter in (TokenFilter(plain=True), TokenFilter(plain=True, frequent=50))
    )
    assert first == list(range(1, 240))
    assert second == list(range(50, 240))
    assert len(asked) == 1
    tables.table(with_untrained, "folded", "write", TokenFilter(plain=True))
    tables.table(with_untrained, "raw", "read", TokenFilter(plain=True))
    assert len(asked) == 3


def test_a_vocabulary_of_few_tokens_has_a_table_without_a_filter(model, monkeypatch):
    monkeypatch.setattr(inventory, "FEWEST_TOKENS", 301)
    assert len(Tables("cpu").table(model, "raw", "read").ids) == 300
    with pytest.raises(BadOption, match="leaves 299 of 304 tokens: at least 301"):
        Tables("cpu").table(model, "raw", "read", TokenFilter(frequent=1))


def test_tables_of_few_tokens_are_let_go_and_the_others_stay(model):
    tables = Tables("cpu")
    whole, few = tables.table(model, "raw", "read"), tables.table(model, "raw", "read", TokenFilter(frequent=100))
    kept = tables.control(("of all", TokenFilter()), object)
    let_go = tables.control(("of few", TokenFilter(ascii=True)), object)
    tables.let_go()
    assert tables.table(model, "raw", "read") is whole
    assert tables.control(("of all", TokenFilter()), object) is kept
    assert tables.table(model, "raw", "read", TokenFilter(frequent=100)) is not few
    assert tables.control(("of few", TokenFilter(ascii=True)), object) is not let_go


def test_first_tokens_are_those_of_a_readout(model, vectors, monkeypatch):
    whole = Tables("cpu").read(model, "folded", "write", vectors, 5)
    expected = np.stack([whole["top_ids"], whole["bottom_ids"]], axis=1)
    tables, sizes = Tables("cpu"), []

    def first_tokens(table, batch, *, k, kept=readout.read_first_tokens):
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError
        return kept(table, batch, k)

    np.testing.assert_array_equal(tables.first_tokens(model, "folded", "write", vectors, 5), expected)
    assert tables.rays == 2 * len(vectors)
    monkeypatch.setattr(readout, "read_first_tokens", first_tokens)
    np.testing.assert_array_equal(tables.first_tokens(model, "folded", "write", vectors, 5), expected)
    assert sizes[:3] == [9, 5, 3]
    assert tables.first_tokens(model, "folded", "write", vectors[:0], 5).shape == (0, 2, 5)


@pytest.mark.parametrize("side", ["read", "write"])
def test_a_covariance_is_that_of_the_known_tokens(model, oracle_of, side):
    table = oracle_of("gpt2").table(side, "folded")[model.vocabulary.known]
    expected = np.cov(table.T, bias=True)
    found = Tables("cpu").covariance(model, "folded", side).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-6 * np.abs(expected).max())
