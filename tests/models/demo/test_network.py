"""The network trained here computes what the exported checkpoint computes in transformers."""

import pytest
import torch

from app.models.demo.network import Network, Size, huggingface_config, huggingface_tensors

SIZE = Size(d_vocab=50, d_model=24, n_layers=3, n_heads=4, n_ctx=16)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    network = Network(SIZE).double()
    with torch.no_grad():
        for parameter in network.parameters():  # no gain is 1, no bias 0
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return network


@pytest.fixture(scope="module")
def exported(network):
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(**huggingface_config(SIZE))).double().eval()
    missing, unexpected = model.load_state_dict(huggingface_tensors(network, torch.float64), strict=False)
    assert (missing, unexpected) == (["lm_head.weight"], [])  # tied
    return model


@pytest.mark.parametrize("length", [1, 7, 16])
def test_logits_are_those_of_gpt2(network, exported, length):
    ids = torch.randint(0, SIZE.d_vocab, (3, length), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(network(ids), exported(ids).logits)


def test_no_position_sees_the_future(network):
    ids = torch.arange(16)[None]
    changed = ids.clone()
    changed[0, 10:] = 3
    with torch.no_grad():
        before, after = network(ids), network(changed)
    assert torch.equal(before[:, :10], after[:, :10])
    assert not torch.allclose(before[:, 10:], after[:, 10:])


def test_initial_weights_predict_nothing():
    torch.manual_seed(0)
    fresh = Network(SIZE)
    with torch.no_grad():
        loss = torch.nn.functional.cross_entropy(fresh(torch.arange(16)[None])[0], torch.arange(16).roll(-1))
    assert loss.item() == pytest.approx(torch.tensor(SIZE.d_vocab).log().item(), abs=0.1)
