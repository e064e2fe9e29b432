from app.models.demo.card import Figures, model_card
from app.models.demo.network import Size


def test_the_card_says_what_was_measured():
    card = model_card(
        Figures(
            size=Size(d_vocab=12_288, d_model=384, n_layers=7, n_heads=12, n_ctx=128),
            tokens_seen=28_672_000,
            bits_per_byte=1.61249,
            hours=1.504,
            threads=1,
            machine="a machine",
            samples=[("A prompt", " and\nits {text}<|endoftext|>\n")],
        )
    )
    for fact in ("7 x 12", "384, 32", "12,288", "128 tokens", "28.7M", "**1.612 bits per byte**", "1.50 hours"):
        assert fact in card
    assert "1 thread, a machine" in card
    assert "> **A prompt** and\n> its {text}\n" in card
