import pytest
import torch

from app.models.demo.network import Network, Size
from app.models.demo.train import Schedule, batches, encode, learning_rate, save_network

SIZE = Size(d_vocab=64, d_model=16, n_layers=1, n_heads=2, n_ctx=8)


def test_a_pass_shows_every_window_once():
    ids = torch.arange(8 * 20 + 1)
    schedule = Schedule(steps=10, batch=4)
    windows = list(batches(ids, SIZE, schedule))
    assert [window.shape for window in windows] == [(4, 9)] * 10
    for half in (windows[:5], windows[5:]):  # two passes over 20 windows
        starts = torch.cat(half)[:, 0]
        assert sorted(starts.tolist()) == list(range(0, 160, 8))
    assert all(torch.equal(row, torch.arange(row[0], row[0] + 9)) for row in torch.cat(windows))
    assert not torch.equal(torch.cat(windows[:5]), torch.cat(windows[5:]))


def test_batches_are_the_same_each_time():
    ids = torch.arange(100)
    first, again = (torch.stack(list(batches(ids, SIZE, Schedule(steps=6, batch=3)))) for _ in range(2))
    other = torch.stack(list(batches(ids, SIZE, Schedule(steps=6, batch=3, seed=1))))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_rate_rises_to_its_peak_and_falls_to_zero():
    schedule = Schedule(steps=100, warmup=10, peak_rate=2.0)
    rates = [learning_rate(step, schedule) for step in range(100)]
    assert max(rates) == rates[10] == 2.0
    assert rates[9] == 2.0
    assert rates[:10] == sorted(rates[:10])
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[0] < 0.5
    assert 0 < rates[-1] < 0.05


def test_documents_are_told_apart(tmp_path):
    from app.models.demo.tokenizer import train_tokenizer

    tokenizer = train_tokenizer(["one two three four five six seven " * 20], 300)
    row = encode(tokenizer, ["one two", "three"]).tolist()
    assert row.count(0) == 2
    assert row[0] == 0
    assert tokenizer.decode(row) == "one twothree"


def test_weights_that_float16_cannot_hold_are_not_shipped(tmp_path):
    network = Network(SIZE)
    with torch.no_grad():
        network.ln_f.bias[3] = 1e6
    with pytest.raises(ValueError, match=r"ln_f\.bias"):
        save_network(network, tmp_path)
    assert list(tmp_path.iterdir()) == []
