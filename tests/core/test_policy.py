"""A GPU's way, gone on a CPU: the same tokens, directions and counts, by the branches that no CPU takes by itself."""

import pytest
import torch

from app.core import policy
from app.core.bases.svd import decompose_all
from app.core.exact.extremes import extremes
from app.core.exact.histogram import histogram
from app.core.exact.readout import read, token_table
from app.core.exact.shares import map_shares
from app.core.judging.collapse import is_trained
from app.core.matrix import READ, WRITE, Matrix


@pytest.fixture
def on_both_ways(monkeypatch):
    """on_both_ways(work) -> what it gives on a CPU's way, and on a GPU's."""

    def run(work):
        torch.manual_seed(0)
        plain = work()
        monkeypatch.setattr(policy, "EVERYWHERE", True)
        torch.manual_seed(0)
        return plain, work()

    return run


def test_who_goes_which_way(monkeypatch):
    assert [policy.takes_gpu_way(where) for where in ("cpu", "cuda", "cuda:1", torch.zeros(1))] == [
        False,
        True,
        True,
        False,
    ]
    monkeypatch.setattr(policy, "EVERYWHERE", True)
    assert policy.takes_gpu_way("cpu")
    assert policy.takes_gpu_way(torch.zeros(1))
    assert policy.total_memory(torch.zeros(1)) == policy.ROOM


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("space", [2**32, 2**16])
def test_the_same_tokens(on_both_ways, monkeypatch, dtype, space):
    """Ties and duplicates too, in one batch or in several."""
    monkeypatch.setattr(policy, "ROOM", space)

    def work():
        table, vectors = torch.randn(9001, 24), torch.randn(70, 24)
        table[[5, 77, 300]] = table[0].clone()
        return read(token_table(table, None, dtype), vectors)

    cpu, gpu = on_both_ways(work)
    assert torch.equal(gpu.top_ids, cpu.top_ids)
    assert torch.equal(gpu.bottom_ids, cpu.bottom_ids)
    for name in ("top_scores", "bottom_scores", "low", "high"):
        assert torch.allclose(getattr(gpu, name), getattr(cpu, name), rtol=1e-12)
    assert (gpu.counts.sum(dim=1) == 9001).all()


def test_the_same_directions_by_their_projectors(on_both_ways):
    def work():
        matrices = [Matrix((torch.randn(40, 8), torch.randn(8, 40)), READ, WRITE).to("cpu") for _ in range(3)]
        return decompose_all(matrices)

    for cpu, gpu in zip(*on_both_ways(work), strict=True):
        assert torch.allclose(gpu.strength, cpu.strength, rtol=1e-5)
        for ours, theirs in ((gpu.left, cpu.left), (gpu.right, cpu.right)):
            assert ((ours * theirs).sum(dim=1).square() >= 1 - 1e-6).all()


def test_the_same_extremes_counts_and_trained_tokens(on_both_ways):
    def work():
        scores = torch.randn(5, 9001).bfloat16()
        (_, high), (_, low) = extremes(scores, 40)
        vectors = torch.randn(300, 16)
        vectors[250:] = vectors[0] + 0.05 * torch.randn(50, 16)
        return high, low, histogram(scores, low[:, 0], high[:, 0]), is_trained(vectors)

    for cpu, gpu in zip(*on_both_ways(work), strict=True):
        assert torch.equal(cpu, gpu)


def test_a_gpu_needs_no_threads(on_both_ways):
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        cpu, gpu = on_both_ways(lambda: map_shares(len, torch.zeros(30), least=10, most=30))
    finally:
        torch.set_num_threads(threads)
    assert (cpu, gpu) == ([10, 10, 10], [30])
