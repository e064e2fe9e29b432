"""Text that a model writes: drawn from its own probabilities, the same for the same seed."""

import pytest
import torch

from app.core.steps import run
from app.models.live.assembly import assemble_model
from app.models.live.sampling import sample_windows
from tests.models.live.test_assembly import opened


@pytest.fixture(scope="module", params=["gpt2", "qwen2", "gemma2"])
def model(member, request):
    return assemble_model(*opened(member(request.param).data, request.param))


def test_each_token_is_drawn_from_what_the_model_says_of_the_text_before_it(model):
    """Drawn anew without a cache, the whole text run at once."""
    ids = run(sample_windows(model, 5, 6, 20, 90, seed=4))
    with torch.no_grad():
        chances = torch.softmax(model(ids, use_cache=False).logits[:, :, :90], dim=-1)
    generator = torch.Generator().manual_seed(4)
    for at in range(1, 20):
        assert torch.equal(torch.multinomial(chances[:, at - 1], 1, generator=generator)[:, 0], ids[:, at])
    assert ids[:, 0].tolist() == [5] * 6


def test_the_same_seed_writes_the_same_and_another_another(model):
    one, same, other = (run(sample_windows(model, 0, 4, 16, 97, seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_rows_that_pad_the_embedding_are_never_drawn(model):
    ids = run(sample_windows(model, 0, 32, 40, 10, seed=0))
    assert ids[:, 1:].max() == 9


def test_progress_is_told_token_by_token(model):
    assert [*sample_windows(model, 0, 1, 4, 97, 0)] == [(1, 4), (2, 4), (3, 4)]
