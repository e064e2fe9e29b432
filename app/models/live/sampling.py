"""Text that a model writes by itself: a reference for what its directions do, where there is no other. Knows no directions.

Drawn from the model's own probabilities, from a token that begins texts; the same seed gives the same text on the same
machine. The ids that were drawn are what counts, and are kept with whatever rests on them.
"""

from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor

from app.core.steps import Steps


def sample_windows(
    model: Any, start: int, n_windows: int, n_tokens: int, d_vocab: int, seed: int
) -> Steps[Int[Tensor, "n_windows n_tokens"]]:
    """Let an assembled model write windows of text at once, each from the start token on.

    Only the first `d_vocab` ids are drawn: rows beyond pad the embedding.
    """
    generator = torch.Generator().manual_seed(seed)
    ids = torch.full((n_windows, 1), start, dtype=torch.long)
    cache = None
    while ids.shape[1] < n_tokens:
        yield ids.shape[1], n_tokens
        with torch.no_grad():
            answer = model(ids if cache is None else ids[:, -1:], past_key_values=cache, use_cache=True)
        cache = answer.past_key_values
        chances = torch.softmax(answer.logits[:, -1, :d_vocab].float(), dim=-1)
        ids = torch.cat([ids, torch.multinomial(chances, 1, generator=generator)], dim=1)
    return ids
