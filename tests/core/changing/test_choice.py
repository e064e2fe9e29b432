"""How a next token is chosen: against chances counted, and against the rule written out."""

import torch

from app.core.changing.choice import TOP_P, choose_likeliest, draw_tokens


def logits_of(*chances):
    return torch.tensor([chances]).log()


def test_the_likeliest_is_chosen_and_the_first_of_equals():
    assert choose_likeliest(torch.tensor([[0.0, 2.0, 1.0], [5.0, 5.0, 5.0]])).tolist() == [1, 0]


def test_tokens_are_drawn_as_often_as_they_are_likely():
    chances, generator = torch.tensor([0.3, 0.1, 0.4, 0.2]), torch.Generator().manual_seed(0)
    n = 4_000
    counts = torch.zeros(4)
    for _ in range(n):
        counts[int(draw_tokens(chances.log()[None], generator))] += 1
    # The least likely begins where .9 is reached, and is never drawn.
    expected = torch.tensor([0.3, 0.0, 0.4, 0.2]) / TOP_P
    assert counts[1] == 0
    assert float((counts / n - expected).abs().max()) < 5 * (0.25 / n) ** 0.5


def test_rows_share_the_draw():
    logits = torch.randn(1, 50, generator=torch.Generator().manual_seed(2))
    first = draw_tokens(logits.expand(3, -1), torch.Generator().manual_seed(7))
    assert first.unique().numel() == 1
    assert int(first[0]) == int(draw_tokens(logits, torch.Generator().manual_seed(7)))


def test_one_number_is_drawn_for_each_token():
    one, other = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    draw_tokens(logits_of(0.5, 0.5), one)
    torch.rand(1, generator=other, dtype=torch.float64)
    assert torch.equal(torch.rand(3, generator=one), torch.rand(3, generator=other))


def test_a_certain_token_is_always_drawn():
    generator = torch.Generator().manual_seed(0)
    assert {int(draw_tokens(torch.tensor([[0.0, 90.0, 0.0]]), generator)) for _ in range(200)} == {1}
