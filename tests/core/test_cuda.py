"""The same code on a GPU: given the same vectors the same tokens; decompositions by the projectors of their directions."""

import pytest
import torch

from app.core.bases.svd import decompose_all
from app.core.circuits import CIRCUITS, Head
from app.core.exact.proposal import proposing_dtype
from app.core.exact.readout import read, token_table
from app.core.matrix import READ, WRITE, Matrix

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here that torch can use"),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("d", "d_vocab"), [(64, 9001), (768, 50_257), (4096, 20_000)])
def test_the_same_tokens(dtype, d, d_vocab):
    draw = torch.Generator().manual_seed(0)
    table, vectors = torch.randn(d_vocab, d, generator=draw), torch.randn(70, d, generator=draw)
    table[[5, 77, 300]] = table[0].clone()
    cpu = read(token_table(table), vectors)
    cuda = read(token_table(table.cuda(), None, dtype), vectors.cuda())
    for name in ("top_ids", "bottom_ids"):
        assert torch.equal(getattr(cuda, name).cpu(), getattr(cpu, name))
    for name in ("top_scores", "bottom_scores", "low", "high"):
        assert torch.allclose(getattr(cuda, name).cpu(), getattr(cpu, name), rtol=1e-12)
    assert (cuda.counts.sum(dim=1) == d_vocab).all()
    assert cuda.unsettled <= 14


@pytest.mark.parametrize(("d", "h"), [(768, 64), (4096, 128)])
def test_the_same_directions(d, h):
    draw = torch.Generator().manual_seed(0)
    matrices = [
        Matrix((torch.randn(d, h, generator=draw), torch.randn(h, d, generator=draw)), READ, WRITE) for _ in range(3)
    ]
    on_cuda = [Matrix(tuple(factor.cuda() for factor in one.factors), one.left, one.right) for one in matrices]
    for cpu, cuda in zip(decompose_all(matrices), decompose_all(on_cuda), strict=True):
        assert torch.allclose(cuda.strength.cpu(), cpu.strength, rtol=1e-5)
        for ours, theirs in ((cuda.left.cpu(), cpu.left), (cuda.right.cpu(), cpu.right)):
            # One direction's projectors are as far apart as its vectors are turned against each other.
            assert ((ours * theirs).sum(dim=1).square() >= 1 - 1e-6).all()


def test_what_a_head_gives(head: Head):
    product = CIRCUITS["ov"](head)
    (terms,) = decompose_all([product.to("cuda")])
    assert torch.allclose(terms.reconstruct().cpu(), product.dense(), atol=1e-4)


def test_the_gpu_is_asked_what_it_multiplies_fastest():
    assert proposing_dtype("cuda") in {torch.float16, torch.bfloat16, torch.float32}
