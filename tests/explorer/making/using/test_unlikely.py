"""Unlikely tokens in a model's streams, chosen as the library's own logits have them."""

import numpy as np
import pytest

from app.explorer import recipes
from app.explorer.errors import ComputationFailed
from app.explorer.layout import count_unlikely, list_middle
from app.explorer.making.using.unlikely import _estimate_ratio
from tests.explorer.making.using.conftest import TEXT


def test_unlikely_tokens_are_the_last_of_the_models_own_logits(texted, make, streams):
    made = make(texted, recipes.unlikely(texted.model, "folded", TEXT))
    n_layers, specials = texted.model.manifest.n_layers, {*texted.model.vocabulary.specials.values()}
    assert made["control"].shape == (n_layers + 1, 3)
    for (window, at), ids in zip(made["at"], made["ids"], strict=True):
        assert at > 0
        logits = streams[1][window].logits[at].numpy()
        assert len({*ids.tolist()}) == count_unlikely(texted.model.manifest.d_model)
        assert not specials & {*ids.tolist()}
        others = np.setdiff1d(np.arange(len(logits)), [*ids, *specials])
        assert logits[ids].max() <= np.sort(logits[others])[len(others) // 4]
    value, low, high = made["middle"][1]
    assert low <= value <= high
    middle = list_middle(n_layers)
    assert made["control"][middle, 0].min() <= value + 0.05
    assert made["undone"][-1].tolist() == [0, 0, 0]


def test_intervals_are_over_windows():
    """Positions of one window that say the same are one piece of evidence, however many they are."""
    values = np.random.default_rng(0).uniform(0.5, 1.5, size=(12, 2))
    once = _estimate_ratio(values, np.arange(12))
    assert _estimate_ratio(values.repeat(9, axis=0), np.arange(12).repeat(9)) == pytest.approx(once)
    _, low, high = _estimate_ratio(values.repeat(9, axis=0), np.arange(108))
    assert high - low < 0.6 * (once[2] - once[1])
    assert np.isnan(_estimate_ratio(values, np.zeros(12, np.int64))[1])


def test_without_a_text_there_is_a_sentence(texted, make):
    with pytest.raises(ComputationFailed, match=r"is not here: singular-lens statistics \w+ makes it\."):
        make(texted, recipes.unlikely(texted.model, "folded", 6))
