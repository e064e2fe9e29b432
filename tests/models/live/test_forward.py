"""What is read off a run, and what directions make of it, against the library's own numbers and the plain products."""

import pytest
import torch

from app.core.circuits import ov
from app.core.decomposition import Decomposition
from app.core.folding import fold_head
from app.core.using.attribution import attribute_directions, attribute_writes, logit_direction
from app.core.using.coefficients import (
    attend_coefficients,
    norm_scales,
    norm_stream,
    read_coefficients,
    trace_sources,
    write_output,
)
from app.models.live.assembly import assemble_model
from app.models.live.forward import run_model
from tests.models.live.test_assembly import RUN, logits_of, opened

POST_NORMED = {"gemma2", "olmo2"}
IDS = torch.arange(24) * 7 % 97
LAST = 23


@pytest.fixture(scope="module", params=RUN)
def live(member, request):
    """A model of each family that is run: its name, weights, the model, and a run of it."""
    weights, manifest = opened(member(request.param).data, request.param)
    model = assemble_model(weights, manifest)
    return request.param, weights, model, run_model(model, IDS)


def terms_of(head):
    """The singular directions of a head's OV, in float64, by another way than the app's."""
    left, strength, right = torch.linalg.svd(ov(head).dense().double(), full_matrices=False)
    rank = head.W_V.shape[1]
    return Decomposition(left.T[:rank], strength[:rank], right[:rank])


def direction_of(ends, center, token, other=None):
    rest = ends.W_U.mean(dim=1) if other is None else ends.W_U[:, other]
    return logit_direction(ends.W_U[:, token], rest, ends.final_gain, center)


def relative(found, expected):
    return float((found - expected).norm(dim=-1).max() / expected.norm(dim=-1).max())


def test_a_run_is_the_librarys_own(live):
    _, weights, model, run = live
    assert torch.equal(run.logits, logits_of(model, IDS[None])[0])
    shape = weights.facts
    assert run.streams.shape == (shape.n_layers + 1, 24, shape.d_model)
    patterns = torch.stack([*run.patterns])
    assert patterns.shape == (shape.n_layers, shape.n_heads, 24, 24)
    assert torch.stack([*run.mixed]).shape == (shape.n_layers, 24, shape.n_heads, shape.d_head)
    assert not patterns.triu(1).any()
    torch.testing.assert_close(patterns.sum(-1), torch.ones(shape.n_layers, shape.n_heads, 24))


def test_the_stream_is_what_all_parts_add_up_to(live):
    _, _, _, run = live
    total = run.streams[0]
    for layer, (attention, mlp) in enumerate(zip(run.attention, run.mlp, strict=True)):
        total = total + attention + mlp
        assert relative(total, run.streams[layer + 1]) < 1e-6


def test_the_last_stream_is_not_normed_yet(live):
    """The library's own last hidden state is behind the final norm, and no sum of what parts add."""
    _, weights, model, run = live
    ends, facts = weights.embeddings(), weights.facts
    with torch.no_grad():
        behind = model(IDS[None], output_hidden_states=True).hidden_states[-1][0]
    center = facts.normalization == "LN"
    normed = norm_stream(run.streams[-1], center, facts.eps) * ends.final_gain
    normed = normed if ends.final_shift is None else normed + ends.final_shift
    assert relative(normed, behind) < 1e-5
    assert relative(run.streams[-1], behind) > 0.1


def test_what_directions_write_is_what_the_head_writes(live):
    name, weights, _, run = live
    for layer in range(weights.facts.n_layers):
        for number in range(weights.facts.n_heads):
            plain, norms = weights.head(layer, number), weights.norms(layer, number)
            folded = fold_head(plain, norms)
            stream = run.streams[layer].double()
            reads = norm_stream(stream, norms.center, weights.facts.eps) if weights.facts.reads_normed else stream
            terms = terms_of(folded)
            coefficients = read_coefficients(reads, terms)
            attended = attend_coefficients(run.patterns[layer][number].double(), coefficients)
            found = write_output(attended, terms) + (folded.b_V @ folded.W_O).double()
            expected = (run.mixed[layer][:, number] @ plain.W_O).double()
            expected = expected - expected.mean(-1, keepdim=True) if norms.center else expected
            expected = expected if norms.post_gain is None else expected * norms.post_gain.double()
            assert relative(found, expected) < 1e-5, (name, layer, number)
            sources = trace_sources(run.patterns[layer][number].double(), coefficients, 2)
            torch.testing.assert_close(sources.sum(1), attended[:, 2])


@pytest.mark.parametrize("name", ["gpt2", "neox"])
def test_in_float64_it_is_so_to_the_last_digits(member, name):
    """Families whose library norms in the precision that it is run in."""
    weights, manifest = opened(member(name).data, name)
    run = run_model(assemble_model(weights, manifest).double(), IDS)
    for number in range(4):
        plain, norms = weights.head(1, number), weights.norms(1, number)
        W_V, W_O = norms.gain.double()[:, None] * plain.W_V.double(), plain.W_O.double()
        left, strength, right = torch.linalg.svd(W_V @ W_O, full_matrices=False)
        terms = Decomposition(left.T[:8], strength[:8], right[:8])
        reads = norm_stream(run.streams[1], norms.center, weights.facts.eps)
        attended = attend_coefficients(run.patterns[1][number], read_coefficients(reads, terms))
        constant = (norms.shift.double() @ plain.W_V.double() + plain.b_V.double()) @ W_O
        constant = run.patterns[1][number].sum(1, keepdim=True) * constant  # NeoX's softmax is in float32
        assert relative(write_output(attended, terms) + constant, run.mixed[1][:, number] @ W_O) < 1e-12


@pytest.mark.parametrize(("token", "other"), [(5, None), (5, 60)])
def test_all_parts_together_are_the_logit(live, token, other):
    _, weights, model, run = live
    ends, facts = weights.embeddings(), weights.facts
    center = facts.normalization == "LN"
    vector = direction_of(ends, center, token, other).double()
    scale = norm_scales(run.streams[-1][LAST].double(), center, facts.eps)
    parts = torch.cat([run.streams[:1, LAST], run.attention[:, LAST], run.mlp[:, LAST]]).double()
    found = attribute_writes(parts, vector, scale).sum()
    logits = run.logits[LAST].double()
    cap = getattr(model.config, "final_logit_softcapping", None)
    logits = cap * torch.atanh(logits / cap) if cap else logits
    column = ends.W_U[:, token] - (ends.W_U.mean(dim=1) if other is None else ends.W_U[:, other])
    shift = 0 if ends.final_shift is None else float(ends.final_shift.double() @ column.double())
    expected = float(logits[token] - (logits.mean() if other is None else logits[other])) - shift
    assert float(found) == pytest.approx(expected, abs=5e-4)
    assert abs(expected) > 0.01


def test_directions_share_out_what_the_heads_add_to_the_logit(live):
    name, weights, _, run = live
    if name in POST_NORMED:
        pytest.skip("what a head adds is not defined where a norm follows all heads")
    ends, facts = weights.embeddings(), weights.facts
    center = facts.normalization == "LN"
    vector = direction_of(ends, center, 5).double()
    scale = norm_scales(run.streams[-1][LAST].double(), center, facts.eps)
    for layer in range(facts.n_layers):
        total = float(weights.head(layer, 0).b_O.double() @ vector * scale)
        for number in range(facts.n_heads):
            folded, norms = (
                fold_head(weights.head(layer, number), weights.norms(layer, number)),
                weights.norms(layer, number),
            )
            terms = terms_of(folded)
            reads = norm_stream(run.streams[layer].double(), norms.center, facts.eps)
            attended = attend_coefficients(run.patterns[layer][number].double(), read_coefficients(reads, terms))
            total += float(attribute_directions(attended[LAST], terms, vector, scale).sum())
            total += float((folded.b_V @ folded.W_O).double() @ vector * scale)
        expected = float(attribute_writes(run.attention[layer, LAST].double(), vector, scale))
        assert total == pytest.approx(expected, abs=1e-5)


def test_ids_that_a_model_does_not_have_are_refused(live):
    _, _, model, _ = live
    for ids in ([], [-1], [100], [3, 100]):
        with pytest.raises(ValueError, match="0 to 99, and at least one"):
            run_model(model, torch.tensor(ids, dtype=torch.long))


def test_hooks_are_gone_after_a_run_that_fails(member, monkeypatch):
    weights, manifest = opened(member("llama").data, "llama")
    model = assemble_model(weights, manifest)
    monkeypatch.setattr(model.model.norm, "forward", lambda _: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(MemoryError):
        run_model(model, IDS)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
