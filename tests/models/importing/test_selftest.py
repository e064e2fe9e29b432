"""What is not the model is refused: mutations of what an import has read, between the libraries and the disk."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from app.models.importing import conversion
from app.models.importing.importer import import_model
from app.models.importing.selftest import Run, check_ends, check_layer
from app.models.refusal import ImportRefused
from app.models.weights import Weights
from tests.families import FAMILIES, write_family

THREE = ("gpt2", "llama", "neox")

Tensors = dict[str, torch.Tensor]


def permute_heads(tensors: Tensors) -> None:
    for name in ("W_Q", "W_K", "W_V", "W_O", "b_Q", "b_K", "b_V"):
        tensors[name] = tensors[name].flip(0)


def swap_queries_and_keys(tensors: Tensors) -> None:
    group = len(tensors["W_Q"]) // len(tensors["W_K"])
    keys = tensors["W_K"].repeat_interleave(group, 0)
    tensors["W_Q"], tensors["W_K"] = keys, tensors["W_Q"][::group].clone()


def transpose_outputs(tensors: Tensors) -> None:
    n_heads, d_head, d_model = tensors["W_O"].shape
    flat = tensors["W_O"].reshape(n_heads * d_head, d_model)
    assert flat.shape[0] == flat.shape[1]
    tensors["W_O"] = flat.T.reshape(n_heads, d_head, d_model)


def misgroup_keys(tensors: Tensors) -> None:
    tensors["W_K"] = tensors["W_K"].roll(1, 0)


def misgroup_values(tensors: Tensors) -> None:
    tensors["W_V"] = tensors["W_V"].roll(1, 0)


def spoil_gain(tensors: Tensors) -> None:
    tensors["ln1.w"] = tensors["ln1.w"].clone()
    tensors["ln1.w"][5] *= 1.01


def permute_neurons(tensors: Tensors) -> None:
    """Of what reads, while what writes stays: each neuron would write what another does."""
    for name in ("mlp.W_in", "mlp.W_gate", "mlp.b_in"):
        if name in tensors:
            tensors[name] = tensors[name].flip(-1)


def permute_writing_neurons(tensors: Tensors) -> None:
    tensors["mlp.W_out"] = tensors["mlp.W_out"].roll(1, 0)


def spoil_mlp_gain(tensors: Tensors) -> None:
    tensors["ln2.w"] = tensors["ln2.w"].clone()
    tensors["ln2.w"][5] *= 1.01


MUTATIONS: dict[Callable[[Tensors], None], str] = {
    permute_heads: "queries",
    swap_queries_and_keys: "queries",
    transpose_outputs: "attention output",
    misgroup_keys: "keys",
    misgroup_values: "values",
    spoil_gain: "norm ln1",
    permute_neurons: "MLP input",
    permute_writing_neurons: "MLP output",
    spoil_mlp_gain: "norm ln2",
}


def swap_input_and_gate(tensors: Tensors) -> None:
    tensors["mlp.W_in"], tensors["mlp.W_gate"] = tensors["mlp.W_gate"], tensors["mlp.W_in"]


def swap_gains(tensors: Tensors) -> None:
    """Behind what heads and MLP write."""
    tensors["ln1_post.w"], tensors["ln2_post.w"] = tensors["ln2_post.w"], tensors["ln1_post.w"]


def transpose_writing_neurons(tensors: Tensors) -> None:
    tensors["mlp.W_out"] = tensors["mlp.W_out"].T


@pytest.fixture
def mutate(monkeypatch):
    """Changes what the libraries give of the last layer, before it is written."""

    def install(change: Callable[[Tensors], None]) -> None:
        honest = conversion.open_layer

        def changed(checkpoint, layer):
            bridged = honest(checkpoint, layer)
            if layer == 0:
                return bridged
            prefixes = (f"blocks.{layer}.attn.", f"blocks.{layer}.")
            short = {name.removeprefix(prefixes[0]).removeprefix(prefixes[1]): name for name in bridged.parameters}
            tensors = {name: bridged.parameters[whole] for name, whole in short.items()}
            change(tensors)
            return replace(bridged, parameters={short[name]: tensor for name, tensor in tensors.items()})

        monkeypatch.setattr(conversion, "open_layer", changed)

    return install


def imported(folder, data):
    return import_model(str(folder), data, report=lambda progress: None)


@pytest.mark.parametrize("family", THREE)
@pytest.mark.parametrize("change", MUTATIONS)
def test_tensors_that_are_not_the_models_are_refused(member, tmp_path, mutate, family, change):
    mutate(change)
    with pytest.raises(
        ImportRefused, match=rf"in layer 1, {MUTATIONS[change]} differs by .* \(at most 0\.0001 is allowed\)"
    ):
        imported(member(family).folder, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("family", "change", "identity"),
    [
        ("llama", swap_input_and_gate, "MLP input"),
        ("phi3", swap_input_and_gate, "MLP input"),
        ("gptj", spoil_gain, "norm ln1"),
        ("gemma2", swap_gains, "norm ln1_post"),
        ("olmo2", swap_gains, "norm ln1_post"),
    ],
)
def test_what_only_some_mlps_have(member, tmp_path, mutate, family, change, identity):
    mutate(change)
    with pytest.raises(ImportRefused, match=f"in layer 1, {identity} differs"):
        imported(member(family).folder, tmp_path)


@pytest.mark.parametrize("family", THREE)
def test_a_transposed_mlp_is_not_even_read(member, tmp_path, mutate, family):
    mutate(transpose_writing_neurons)
    with pytest.raises(ImportRefused, match=r"W_out of layer 1 has the shape \(32, \d+\), not \(\d+, 32\)"):
        imported(member(family).folder, tmp_path)


@pytest.mark.parametrize(
    ("family", "facts", "identity"),
    [
        ("neox", {"mlp_reads": "ln1"}, "MLP reads"),  # in parallel, but each through a norm of its own
        ("gpt2", {"mlp_reads": "ln1"}, "MLP reads"),
        ("bert", {"mlp_reads": "ln2"}, "MLP reads"),
        ("gemma2", {"gain_offset": 0.0}, "norm ln1"),
        ("llama", {"eps": 0.1}, "norm ln1"),
    ],
)
def test_a_norm_that_is_not_the_models_is_refused(member, tmp_path, monkeypatch, family, facts, identity):
    honest = conversion.open_layer

    def changed(checkpoint, layer):
        bridged = honest(checkpoint, layer)
        return replace(bridged, shape=replace(bridged.shape, **facts))

    monkeypatch.setattr(conversion, "open_layer", changed)
    with pytest.raises(ImportRefused, match=f"in layer 0, {identity} differs"):
        imported(member(family).folder, tmp_path)


@pytest.mark.parametrize("family", ["gpt2", "opt", "roberta"])
@pytest.mark.parametrize("by", [-1, 1])
def test_shifted_positions_are_refused(member, tmp_path, monkeypatch, family, by):
    honest = conversion.open_layer

    def shifted(checkpoint, layer):
        bridged = honest(checkpoint, layer)
        W_pos = bridged.ends["pos_embed.W_pos"].roll(by, 0)
        return replace(bridged, ends=bridged.ends | {"pos_embed.W_pos": W_pos})

    monkeypatch.setattr(conversion, "open_layer", shifted)
    with pytest.raises(ImportRefused, match="in the ends, positions differs"):
        imported(member(family).folder, tmp_path)


@pytest.mark.parametrize("family", THREE)
def test_permuted_tokens_are_refused(member, tmp_path, monkeypatch, family):
    """Two rows of the embedding that no other check looks at."""
    honest = conversion.write_tensors

    def permuted(path, tensors, fingerprint):
        if "embed.W_E" in tensors:
            rows = torch.arange(len(tensors["embed.W_E"]))
            rows[[50, 51]] = rows[[51, 50]]
            tensors = tensors | {"embed.W_E": tensors["embed.W_E"][rows]}
        return honest(path, tensors, fingerprint)

    monkeypatch.setattr(conversion, "write_tensors", permuted)
    with pytest.raises(ImportRefused, match="was not written as it is in the checkpoint"):
        imported(member(family).folder, tmp_path)


@pytest.mark.parametrize("family", THREE)
def test_a_missing_tensor_is_refused(tmp_path, family):
    folder = write_family(family, tmp_path / "checkpoint")
    tensors = load_file(folder / "model.safetensors")
    missing = max(name for name in tensors if ".1." in name)
    del tensors[missing]
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(ImportRefused, match=f"the checkpoint lacks .*{missing}"):
        imported(folder, tmp_path / "data")


def test_reading_a_wrong_group_is_refused(member, tmp_path, monkeypatch):
    """Not what is stored but how it is read: the classic silent bug of grouped queries."""
    monkeypatch.setattr(Weights, "_kv_head", lambda self, head: head % self.facts.n_kv_heads)
    with pytest.raises(ImportRefused, match="in layer 0, keys differs"):
        imported(member("llama").folder, tmp_path)


def spoil_rotary(tensors: Tensors) -> None:
    tensors["rotary"] = tensors["rotary"].clone()
    tensors["rotary"][2:] *= 1.01


def spoil_pairing(tensors: Tensors) -> None:
    tensors["rotary"] = tensors["rotary"].clone()
    tensors["rotary"][0] = 1 - tensors["rotary"][0]


def spoil_query_gain(tensors: Tensors) -> None:
    tensors["q_norm"] = tensors["q_norm"].flip(-1)


@pytest.mark.parametrize(
    ("family", "change"),
    [
        *(
            (family, change)
            for family in ("llama", "llama-yarn", "gptj", "neox")
            for change in (spoil_rotary, spoil_pairing)
        ),
        *((family, spoil_query_gain) for family in ("qwen3", "gemma3", "olmo2", "cohere-qk", "stablelm-qk")),
    ],
)
def test_a_wrong_turn_or_gain_shows_in_the_attention_pattern(member, tmp_path, mutate, family, change):
    mutate(change)
    with pytest.raises(ImportRefused, match="in layer 1, attention pattern differs"):
        imported(member(family).folder, tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_holds_is_written_down(member, family):
    from app.models.catalog import Catalog

    manifest = Catalog(member(family).data).get(family)
    checks = manifest.checks
    expected = {
        "MLP reads",
        "queries",
        "keys",
        "values",
        "mixing",
        "attention output",
        "attention pattern",
        "embedding",
    }
    assert expected <= checks.keys()
    assert ("MLP output" in checks) == (family not in {"mixtral", "qwen3-moe", "gpt-oss"})
    assert ("MLP gate" in checks) == manifest.gated
    assert ("MLP writes" in checks) == (family in {"gemma2", "gemma3", "olmo2"})
    assert ("positions" in checks) == (family in {"gpt2", "gpt-neo", "bigcode", "opt", "bert", "roberta"})
    assert ("unembedding" in checks) == (family not in {"bert", "roberta"})
    assert all(0 <= error < 2e-6 for error in checks.values())


def test_activations_that_are_no_numbers_are_refused(member):
    from app.models.catalog import Catalog
    from app.models.importing.bridge import open_layer
    from app.models.importing.folder.checkpoint import open_checkpoint
    from app.models.weights import open_weights

    gpt2 = member("gpt2")
    catalog = Catalog(gpt2.data)
    weights = open_weights(catalog.weights_folder(catalog.get("gpt2").fingerprint))
    bridged = open_layer(open_checkpoint(gpt2.folder), 0)
    activations = dict(bridged.activations)
    run = Run(activations, bridged.ids, None, None)
    check_layer(weights, 0, run)
    check_ends(weights, run)
    activations["blocks.0.mlp.hook_pre"] = activations["blocks.0.mlp.hook_pre"] * torch.nan
    with pytest.raises(ImportRefused, match="MLP input differs by nan"):
        check_layer(weights, 0, run)
    activations["embed.hook_out"] = activations["embed.hook_out"].flip(1)
    with pytest.raises(ImportRefused, match="in the ends, embedding differs"):
        check_ends(weights, run)
