"""The choice of a next token from logits: the likeliest, or one drawn with a seed.

Several texts that are continued side by side share each draw, so that they differ by what their model says alone. Knows no
model and no tokens.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

TOP_P = 0.9
"""Only the likeliest tokens are drawn, until they have this much of the chances together (Holtzman et al. 2020)."""


def choose_likeliest(logits: Float[Tensor, "rows d_vocab"]) -> Int[Tensor, " rows"]:
    """Return the likeliest token of each row; the first of those that are equally likely."""
    return logits.argmax(-1)


def draw_tokens(logits: Float[Tensor, "rows d_vocab"], generator: torch.Generator) -> Int[Tensor, " rows"]:
    """Draw a token for each row, all with the same random number, from the likeliest that have TOP_P of the chances.

    In float64 and by a stable sort: the same seed gives the same token as long as the logits are the same.
    """
    chances, order = logits.double().cpu().softmax(-1).sort(dim=-1, descending=True, stable=True)
    before = chances.cumsum(-1) - chances
    kept = torch.where(before < TOP_P, chances, 0)
    drawn = torch.rand(1, generator=generator, dtype=torch.float64) * kept.sum(-1, keepdim=True)
    place = (kept.cumsum(-1) <= drawn).sum(-1, keepdim=True).clamp(max=(kept > 0).sum(-1, keepdim=True) - 1)
    return order.gather(-1, place)[:, 0]
