"""The pages of the tiny GPT-2 against its Hugging Face tensors in float64, by the shortest way: dense matrices."""

from dataclasses import dataclass

import numpy as np
import pytest
from safetensors.numpy import load_file

from app.core.address import CIRCUITS, parse
from app.explorer.visits import browse
from app.explorer.visits.browse import Options

D_HEAD = 8
HEADS = [(layer, head) for layer in range(2) for head in range(4)]
CASES = [(*head, circuit, weights) for head in HEADS[::3] for circuit in CIRCUITS for weights in ("raw", "folded")]


@dataclass
class Oracle:
    """A dense matrix, what each of its sides is read with ([tokens, d]), and its bias."""

    matrix: np.ndarray
    left: np.ndarray
    right: np.ndarray
    bias: np.ndarray


@pytest.fixture(scope="session")
def checkpoint(gpt2_folder):
    tensors = load_file(gpt2_folder / "model.safetensors")
    return {name.removeprefix("transformer."): tensor.astype(np.float64) for name, tensor in tensors.items()}


def oracle(checkpoint, layer, head, circuit, weights):
    block = {name.removeprefix(f"h.{layer}."): value for name, value in checkpoint.items()}
    mine = slice(head * D_HEAD, (head + 1) * D_HEAD)
    W_Q, W_K, W_V = (part[:, mine] for part in np.split(block["attn.c_attn.weight"], 3, axis=1))
    b_Q, _, b_V = (part[mine] for part in np.split(block["attn.c_attn.bias"], 3))
    W_O, b_O = block["attn.c_proj.weight"][mine], block["attn.c_proj.bias"]
    read, write = checkpoint["wte.weight"], checkpoint["wte.weight"]
    if weights == "folded":
        d = len(b_O)
        P = np.eye(d) - 1 / d
        gain, shift = block["ln_1.weight"], block["ln_1.bias"]
        b_Q, b_V = b_Q + shift @ W_Q, b_V + shift @ W_V
        W_Q, W_K, W_V = (P @ np.diag(gain) @ W for W in (W_Q, W_K, W_V))
        W_O, b_O = W_O @ P, b_O @ P
        centred = read @ P
        read = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
        write = write @ np.diag(checkpoint["ln_f.weight"]) @ P
        write = write - write.mean(axis=0)
    if circuit == "ov":
        return Oracle(W_V @ W_O, read, write, b_V @ W_O + b_O)
    return Oracle(W_Q @ W_K.T, read, read, b_Q @ W_K.T)


def assert_reads(side, vector, table, n_known):
    """The side's tokens are the known tokens with the extreme dot products, and the scores are those products."""
    scores = (table @ vector)[:n_known]
    for tokens, sign in ((side.plus, 1), (side.minus, -1)):
        shown = np.array([token.score for token in tokens])
        ids = [token.id for token in tokens]
        assert len(set(ids)) == len(ids)
        np.testing.assert_allclose(shown, scores[ids], atol=1e-4)
        np.testing.assert_allclose(shown * sign, np.sort(scores * sign)[::-1][: len(ids)], atol=1e-4)


def canonical(left, right):
    sign = np.sign(right[np.abs(right).argmax()])
    return left * sign, right * sign


@pytest.mark.parametrize(("layer", "head", "circuit", "weights"), CASES)
def test_a_matrix_page_is_what_float64_says(explorer, checkpoint, layer, head, circuit, weights):
    expected = oracle(checkpoint, layer, head, circuit, weights)
    page = browse.visit_matrix(explorer, parse(f"tiny/L{layer}/H{head}/{circuit}"), Options(weights=weights))
    U, s, Vh = np.linalg.svd(expected.matrix)
    s = s[:D_HEAD]
    assert page.rank == D_HEAD == len(page.directions)
    np.testing.assert_allclose(page.singular_values, s, rtol=1e-5)
    np.testing.assert_allclose([row.energy_share for row in page.directions], s**2 / (s**2).sum(), rtol=1e-5)
    gaps = np.minimum(1 - s / np.r_[np.inf, s[:-1]], 1 - np.r_[s[1:], 0] / s)
    np.testing.assert_allclose([row.gap for row in page.directions], gaps, atol=1e-5)
    for i, row in enumerate(page.directions):
        assert (row.index, row.address) == (i, page.address.direction(i))
        assert [len(ray) for side in (row.left, row.right) for ray in (side.plus, side.minus)] == [8] * 4
        if gaps[i] > 0.01:  # else float32 and float64 may differ within the span
            left, right = canonical(U[:, i], Vh[i])
            assert_reads(row.left, left, expected.left, 300)
            assert_reads(row.right, right, expected.right, 300)
    assert_reads(page.bias, expected.bias, expected.right, 300)


@pytest.mark.parametrize("weights", ["raw", "folded"])
def test_scores_are_their_formulas(explorer, checkpoint, weights):
    page = browse.visit_matrix(explorer, parse("tiny/L1/H2/ov"), Options(weights=weights))
    expected = oracle(checkpoint, 1, 2, "ov", weights)
    s = np.linalg.svd(expected.matrix)[1]
    energy = s**2 / (s**2).sum()
    energy = energy[energy > 1e-20]
    eigenvalues = np.linalg.eigvals(expected.left[:300] @ expected.matrix @ expected.right[:300].T)
    formulas = {
        "copying": eigenvalues.sum().real / np.abs(eigenvalues).sum(),
        "top": s[0],
        "first-share": energy[0],
        "stable-rank": 1 / energy[0],
        "participation": 1 / (energy**2).sum(),
        "entropy-rank": np.exp(-(energy * np.log(energy)).sum()),
    }
    assert list(dict(page.scores)) == list(formulas)
    for name, value in page.scores:
        assert value == pytest.approx(formulas[name], abs=1e-4), name


def test_a_direction_page_says_more_of_the_same(explorer, checkpoint):
    table = browse.visit_matrix(explorer, parse("tiny/L1/H2/ov"), Options())
    page = browse.visit_direction(explorer, parse("tiny/L1/H2/ov/svd/3"), Options())
    row = table.directions[3]
    assert page.right.plus[:8] == row.right.plus
    assert page.left.minus[:8] == row.left.minus
    assert len(page.right.plus) == 50
    expected = oracle(checkpoint, 1, 2, "ov", "folded")
    left, right = canonical(*(vectors for vectors in _svd_row(expected.matrix, 3)))
    assert_reads(page.right, right, expected.right, 300)
    for histogram, scores in (
        (page.left_histogram, expected.left[:300] @ left),
        (page.right_histogram, expected.right[:300] @ right),
    ):
        assert sum(histogram.counts) == 300
        assert histogram.low == pytest.approx(scores.min(), abs=1e-4)
        assert histogram.high == pytest.approx(scores.max(), abs=1e-4)
        edges = np.linspace(scores.min(), scores.max(), len(histogram.counts) + 1)
        cumulated = np.searchsorted(np.sort(scores), edges[1:-1])
        # One token may fall on either side of an edge.
        assert np.abs(np.cumsum(histogram.counts)[:-1] - cumulated).max() <= 1
    assert (page.previous, page.next) == (page.address.direction(2), page.address.direction(4))


def _svd_row(matrix, i):
    U, _, Vh = np.linalg.svd(matrix)
    return U[:, i], Vh[i]


def test_the_ends_of_a_matrix_have_one_neighbour(explorer):
    first, last = (
        browse.visit_direction(explorer, parse(f"tiny/L0/H0/qk/svd/{i}"), Options()) for i in (0, D_HEAD - 1)
    )
    assert first.previous is None
    assert last.next is None


def test_sides_are_named_as_the_matrices_name_them(explorer):
    for circuit, names in (("ov", ("read", "write")), ("qk", ("query", "key"))):
        page = browse.visit_matrix(explorer, parse(f"tiny/L0/H1/{circuit}"), Options())
        assert {(row.left.side, row.right.side) for row in page.directions} == {names}
        assert page.bias.side == names[1]


def test_padding_never_appears(explorer):
    page = browse.visit_direction(explorer, parse("tiny/L0/H1/ov/svd/0"), Options(weights="raw"))
    sides = (page.left, page.right)
    assert max(token.id for side in sides for ray in (side.plus, side.minus) for token in ray) < 300


def test_notes_say_what_is_true_of_the_table(explorer):
    def notes(circuit, weights):
        return browse.visit_matrix(explorer, parse(f"tiny/L0/H1/{circuit}"), Options(weights=weights)).notes

    assert notes("ov", "folded") == ("folded",)
    assert notes("ov", "raw") == ("raw-read", "tied")
    assert notes("qk", "folded") == ("folded", "qk-no-write")
    assert notes("qk", "raw") == ("raw-read", "qk-no-write")


NOTES = {
    "llama": {
        ("ov", "folded"): ("folded", "untied"),
        ("ov", "raw"): ("raw-read", "untied"),
        ("qk", "folded"): ("folded", "qk-no-write", "no-rotation"),
    },
    "smollm3": {("qk", "folded"): ("folded", "qk-no-write", "still-layer")},
    "qwen3": {
        ("qk", "folded"): ("folded", "qk-no-write", "qk-norm", "no-rotation"),
        ("qk", "raw"): ("raw-read", "qk-no-write", "raw-qk-norm", "no-rotation"),
    },
    "gemma2": {("ov", "folded"): ("folded", "post-norm"), ("ov", "raw"): ("raw-read", "raw-post-norm", "tied")},
    "olmo2": {
        ("ov", "folded"): ("folded", "stream-read", "post-norm", "untied"),
        ("ov", "raw"): ("raw", "stream-read", "raw-post-norm", "untied"),
    },
    "gpt-oss": {("ov", "folded"): ("folded", "untied", "sinks")},
    "bert": {("ov", "raw"): ("raw-encoder", "no-unembedding"), ("qk", "raw"): ("raw-encoder", "qk-no-write")},
}


@pytest.mark.parametrize("family", NOTES)
def test_notes_say_what_is_true_of_the_family(relatives, family):
    for (circuit, weights), expected in NOTES[family].items():
        assert (
            browse.visit_matrix(relatives, parse(f"{family}/L1/H2/{circuit}"), Options(weights=weights)).notes
            == expected
        )


def test_a_note_says_that_queries_are_turned(relatives):
    options = Options(distance=4)
    assert "rotation" in browse.visit_matrix(relatives, parse("llama/L1/H2/qk"), options).notes
    assert "rotation" in browse.visit_direction(relatives, parse("llama/L1/H2/qk/svd/1"), options).notes


def test_the_page_of_a_model_that_norms_what_it_writes_has_that_gain(relatives, member):
    tensors = {
        name: tensor.astype(np.float64)
        for name, tensor in load_file(member("olmo2").folder / "model.safetensors").items()
    }
    block, head = "model.layers.1", slice(8, 16)
    W_V = tensors[f"{block}.self_attn.v_proj.weight"][:8].T  # two key/value heads: queries 0 and 1 share the first
    W_O = tensors[f"{block}.self_attn.o_proj.weight"].T[head]
    gain = tensors[f"{block}.post_attention_layernorm.weight"]
    address = parse("olmo2/L1/H1/ov")
    for weights, matrix in (("raw", W_V @ W_O), ("folded", W_V @ W_O * gain)):
        page = browse.visit_matrix(relatives, address, Options(weights=weights))
        U, s, Vh = np.linalg.svd(matrix)
        np.testing.assert_allclose(page.singular_values, s[:8], rtol=1e-5)
        # Nothing norms what attention reads: tokens are read as they are, folded or not.
        left, _ = canonical(U[:, 0], Vh[0])
        assert_reads(page.directions[0].left, left, tensors["model.embed_tokens.weight"], 97)


def test_an_encoder_is_read_with_its_embedding_on_both_sides(relatives, member):
    tensors = load_file(member("bert").folder / "model.safetensors")
    W_E = tensors["bert.embeddings.word_embeddings.weight"].astype(np.float64)
    block, head = "bert.encoder.layer.1.attention", slice(16, 24)
    W_V = tensors[f"{block}.self.value.weight"].astype(np.float64)[head].T
    W_O = tensors[f"{block}.output.dense.weight"].astype(np.float64).T[head]
    page = browse.visit_matrix(relatives, parse("bert/L1/H2/ov"), Options())
    U, s, Vh = np.linalg.svd(W_V @ W_O)
    np.testing.assert_allclose(page.singular_values, s[:8], rtol=1e-5)
    left, right = canonical(U[:, 0], Vh[0])
    assert_reads(page.directions[0].left, left, W_E, 97)
    assert_reads(page.directions[0].right, right, W_E, 97)
