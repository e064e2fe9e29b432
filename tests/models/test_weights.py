"""What was written is what the checkpoint holds, and is given out only while it is: no byte may be another."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from app.models.catalog import Catalog
from app.models.importing.importer import import_model
from app.models.manifest import verify_weights
from app.models.refusal import WeightsDamaged
from app.models.weights import Weights, layer_file, open_weights, write_tensors

N_LAYERS, N_HEADS, D_MODEL, D_HEAD = 2, 4, 32, 8


def opened(data, slug) -> Weights:
    catalog = Catalog(data)
    return open_weights(catalog.weights_folder(catalog.get(slug).fingerprint))


@pytest.fixture(scope="module")
def weights(tiny_data) -> Weights:
    return opened(tiny_data, "tiny")


def stored(folder) -> dict[str, torch.Tensor]:
    return {name.removeprefix("transformer."): t for name, t in load_file(folder / "model.safetensors").items()}


@pytest.mark.parametrize("layer", range(N_LAYERS))
@pytest.mark.parametrize("head", range(N_HEADS))
def test_heads_are_slices_of_the_checkpoint(weights, gpt2_folder, layer, head):
    tensors = stored(gpt2_folder)
    qkv, qkv_bias = (tensors[f"h.{layer}.attn.c_attn.{kind}"] for kind in ("weight", "bias"))
    read = weights.head(layer, head)
    for i, letter in enumerate("QKV"):
        columns = slice(i * D_MODEL + head * D_HEAD, i * D_MODEL + (head + 1) * D_HEAD)
        assert torch.equal(getattr(read, f"W_{letter}"), qkv[:, columns])
        assert torch.equal(getattr(read, f"b_{letter}"), qkv_bias[columns])
    assert torch.equal(read.W_O, tensors[f"h.{layer}.attn.c_proj.weight"][head * D_HEAD : (head + 1) * D_HEAD])
    assert torch.equal(read.b_O, tensors[f"h.{layer}.attn.c_proj.bias"])


def test_a_head_does_what_the_models_does(weights, gpt2_folder):
    """The sum over heads of `pattern (x W_V + b_V) W_O` is what the library's attention module writes."""
    from transformers import GPT2LMHeadModel

    model = GPT2LMHeadModel.from_pretrained(gpt2_folder, attn_implementation="eager", dtype=torch.float64).eval()
    x = torch.randn(1, 7, D_MODEL, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    mask = torch.full((7, 7), -torch.inf, dtype=torch.float64).triu(1)
    with torch.no_grad():
        expected, patterns = model.transformer.h[1].attn(x, attention_mask=mask[None, None], output_attentions=True)
    written = torch.zeros_like(x)
    for head in range(N_HEADS):
        read = weights.head(1, head)
        q, k, v = (x @ getattr(read, f"W_{c}").double() + getattr(read, f"b_{c}").double() for c in "QKV")
        pattern = (q @ k.transpose(1, 2) / D_HEAD**0.5 + mask).softmax(-1)
        torch.testing.assert_close(pattern, patterns[:, head])
        written += pattern @ v @ read.W_O.double()
    torch.testing.assert_close(written + read.b_O.double(), expected)


@pytest.mark.parametrize("layer", range(N_LAYERS))
def test_mlps_are_the_checkpoints(weights, gpt2_folder, layer):
    tensors, read = stored(gpt2_folder), weights.mlp(layer)
    for part, name in (("in", "c_fc"), ("out", "c_proj")):
        assert torch.equal(getattr(read, f"W_{part}"), tensors[f"h.{layer}.mlp.{name}.weight"])
        assert torch.equal(getattr(read, f"b_{part}"), tensors[f"h.{layer}.mlp.{name}.bias"])
    assert (read.W_gate, read.b_gate) == (None, None)
    norms = weights.mlp_norms(layer)
    assert torch.equal(norms.gain, tensors[f"h.{layer}.ln_2.weight"])
    assert torch.equal(norms.shift, tensors[f"h.{layer}.ln_2.bias"])
    assert (norms.center, norms.post_gain) == (True, None)
    assert torch.equal(weights.positions(), tensors["wpe.weight"])


def test_an_mlp_without_biases_has_zeros(weights, tmp_path):
    tensors = {f"blocks.0.mlp.W_{part}": torch.randn(32, 40) for part in ("in", "gate")}
    tensors |= {"blocks.0.mlp.W_out": torch.randn(40, 32), "blocks.0.ln1.w": torch.randn(32)}
    write_tensors(tmp_path / layer_file(0), tensors, "some weights")
    facts = replace(weights.facts, n_layers=1, d_mlp=40, gated=True, mlp_reads="ln1", gain_offset=1.0)
    gated = Weights(tmp_path, "some weights", facts)
    read = gated.mlp(0)
    assert torch.equal(read.W_gate, tensors["blocks.0.mlp.W_gate"])
    assert [bias.shape[0] for bias in (read.b_in, read.b_gate, read.b_out)] == [40, 40, 32]
    assert not any(bias.any() for bias in (read.b_in, read.b_gate, read.b_out))
    assert torch.equal(gated.mlp_norms(0).gain, tensors["blocks.0.ln1.w"] + 1)
    assert gated.mlp_norms(0).shift is None
    bare = Weights(tmp_path, "some weights", replace(facts, mlp_reads="stream")).mlp_norms(0)
    assert (bare.center, bare.gain, bare.shift) == (False, None, None)
    with pytest.raises(ValueError, match="mixtures of experts"):
        Weights(tmp_path, "some weights", replace(facts, d_mlp=0)).mlp(0)


def test_norms_and_embeddings(weights, gpt2_folder):
    tensors = stored(gpt2_folder)
    for layer in range(N_LAYERS):
        norms = weights.norms(layer, 0)
        assert torch.equal(norms.gain, tensors[f"h.{layer}.ln_1.weight"])
        assert torch.equal(norms.shift, tensors[f"h.{layer}.ln_1.bias"])
        assert (norms.center, norms.post_gain, norms.query_gain) == (True, None, None)
        assert weights.rotary(layer) is None
    ends = weights.embeddings()
    assert torch.equal(ends.W_E, tensors["wte.weight"])
    assert torch.equal(ends.W_U, tensors["wte.weight"].T)
    assert ends.W_U.data_ptr() == ends.W_E.data_ptr()
    assert torch.equal(ends.final_gain, tensors["ln_f.weight"])
    assert torch.equal(ends.final_shift, tensors["ln_f.bias"])
    assert ends.b_U is None


def test_everything_of_a_layer_is_kept(weights, gpt2_folder):
    tensors = stored(gpt2_folder)
    layer = load_file(weights.folder / "layer-001.safetensors")
    assert torch.equal(layer["blocks.1.mlp.W_in"], tensors["h.1.mlp.c_fc.weight"])
    assert torch.equal(layer["blocks.1.mlp.W_out"], tensors["h.1.mlp.c_proj.weight"])
    assert torch.equal(layer["blocks.1.ln2.w"], tensors["h.1.ln_2.weight"])
    ends = load_file(weights.folder / "embeddings.safetensors")
    assert torch.equal(ends["pos_embed.W_pos"], tensors["wpe.weight"])
    kept = sum(t.numel() for i in range(2) for t in load_file(weights.folder / f"layer-00{i}.safetensors").values())
    kept += sum(tensor.numel() for tensor in ends.values())
    assert kept == weights.facts.n_params == sum(tensor.numel() for tensor in tensors.values())


@pytest.mark.parametrize(("layer", "head"), [(-1, 0), (2, 0), (0, 4), (0, -1)])
def test_a_head_that_is_not_there(weights, layer, head):
    with pytest.raises(ValueError, match="layers are 0 to 1, heads 0 to 3"):
        weights.head(layer, head)


@pytest.mark.parametrize("layer", [-1, 2])
@pytest.mark.parametrize("read", [Weights.mlp, Weights.mlp_norms, Weights.rotary, Weights.layer])
def test_a_layer_that_is_not_there(weights, read, layer):
    with pytest.raises(ValueError, match=f"L{layer} is not here: layers are 0 to 1"):
        read(weights, layer)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_untied_half_precision(write_gpt2, gpt2_folder, tmp_path, dtype):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(gpt2_folder / "tokenizer.json"))
    folder = write_gpt2(tmp_path / "untied", tokenizer, tied=False, dtype=dtype)
    manifest = import_model(str(folder), tmp_path / "data", report=lambda progress: None)
    weights = opened(tmp_path / "data", "untied")
    tensors = stored(folder)
    assert (manifest.tied, manifest.dtype) == (False, str(dtype).removeprefix("torch."))
    ends = weights.embeddings()
    assert ends.W_E.dtype == torch.float32
    assert torch.equal(ends.W_E, tensors["wte.weight"].float())
    assert torch.equal(ends.W_U, tensors["lm_head.weight"].float().T)
    assert torch.equal(weights.head(0, 1).W_Q, tensors["h.0.attn.c_attn.weight"][:, 8:16].float())
    assert {t.dtype for t in load_file(weights.folder / "layer-000.safetensors").values()} == {dtype}


def test_queries_share_keys_and_values_in_neighbouring_groups(weights, tmp_path):
    generator = torch.Generator().manual_seed(0)
    shapes = {"W_Q": (4, 32, 8), "W_K": (2, 32, 8), "W_V": (2, 32, 8), "W_O": (4, 8, 32)}
    shapes |= {"b_Q": (4, 8), "b_K": (2, 8), "b_V": (2, 8), "b_O": (32,)}
    tensors = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    parameters = {f"blocks.0.attn.{name}": tensor for name, tensor in tensors.items()}
    write_tensors(tmp_path / layer_file(0), parameters, "some weights")
    grouped = Weights(tmp_path, "some weights", replace(weights.facts, n_layers=1, n_kv_heads=2))
    for head, kv_head in enumerate((0, 0, 1, 1)):
        read = grouped.head(0, head)
        assert torch.equal(read.W_Q, tensors["W_Q"][head])
        assert torch.equal(read.W_O, tensors["W_O"][head])
        for name in ("W_K", "W_V", "b_K", "b_V"):
            assert torch.equal(getattr(read, name), tensors[name][kv_head]), name
    norms = grouped.norms(0, 0)
    assert (norms.gain, norms.shift) == (None, None)


def everything(weights) -> list[torch.Tensor | None]:
    """Whatever pages can be made of."""
    found = [*vars(weights.embeddings()).values(), weights.positions()]
    for layer in range(N_LAYERS):
        found += [*vars(weights.mlp(layer)).values(), *vars(weights.mlp_norms(layer)).values()]
        for head in range(N_HEADS):
            found += [*vars(weights.head(layer, head)).values(), *vars(weights.norms(layer, head)).values()]
    return found


def everything_or_fault(weights) -> list[torch.Tensor | None] | str:
    try:
        return everything(weights)
    except WeightsDamaged as error:
        return str(error)


def same(one, other) -> bool:
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


@pytest.mark.parametrize("name", ["embeddings.safetensors", "layer-001.safetensors"])
def test_a_flipped_byte_is_noticed_or_harmless(weights, tmp_path, name):
    """At every byte of the header and at many of the rest: the old numbers, or WeightsDamaged with the file's name."""
    folder = shutil.copytree(weights.folder, tmp_path / "weights")
    damaged = open_weights(folder)
    expected = everything(damaged)
    whole = (folder / name).read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    noticed = 0
    for at in [*range(0, header, 41), *range(header, len(whole), 1009)]:
        changed = bytearray(whole)
        changed[at] ^= 1 << at % 8
        (folder / name).write_bytes(changed)
        assert dict(verify_weights(folder))[name] == "its checksum does not match"
        found = everything_or_fault(damaged)
        if isinstance(found, list):
            assert all(map(same, found, expected)), at
        else:
            noticed += 1
            assert name in found
            assert str(tmp_path) not in found
    assert noticed > 20


@pytest.mark.parametrize("name", ["W_Q", "W_K", "W_V", "W_O", "b_Q", "b_K", "b_V"])
def test_a_heads_own_slice_is_proven_and_no_other_heads(weights, tmp_path, name):
    folder = shutil.copytree(weights.folder, tmp_path / "weights")
    file = folder / "layer-000.safetensors"
    whole = bytearray(file.read_bytes())
    header = 8 + int.from_bytes(whole[:8], "little")
    start, end = json.loads(whole[8:header])[f"blocks.0.attn.{name}"]["data_offsets"]
    of_head_2 = start + (end - start) // weights.facts.n_heads * 2
    whole[header + of_head_2] ^= 1
    file.write_bytes(whole)
    damaged = open_weights(folder)
    with pytest.raises(WeightsDamaged, match="its checksum does not match"):
        damaged.head(0, 2)
    for head in (0, 1, 3):
        assert torch.equal(getattr(damaged.head(0, head), name), getattr(weights.head(0, head), name))


def test_a_file_of_other_weights_is_noticed(weights, write_gpt2, gpt2_folder, tmp_path):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(gpt2_folder / "tokenizer.json"))
    import_model(
        str(write_gpt2(tmp_path / "other", tokenizer, d_vocab=304, seed=9)), tmp_path / "data", report=lambda p: None
    )
    other = opened(tmp_path / "data", "other")
    shutil.copy(weights.folder / "layer-000.safetensors", other.folder)
    with pytest.raises(WeightsDamaged, match=r"layer-000\.safetensors"):
        other.head(0, 0)
    other.head(1, 0)


@pytest.mark.parametrize("size", [0, 7, 100, -1])
def test_a_file_cut_short_is_noticed(weights, tmp_path, size):
    folder = shutil.copytree(weights.folder, tmp_path / "weights")
    whole = (folder / "layer-000.safetensors").read_bytes()
    (folder / "layer-000.safetensors").write_bytes(whole[:size])
    with pytest.raises(WeightsDamaged, match=r"layer-000\.safetensors of these weights cannot be read"):
        open_weights(folder).head(0, 0)


def test_a_file_that_is_gone_is_noticed(weights, tmp_path):
    folder = shutil.copytree(weights.folder, tmp_path / "weights")
    (folder / "embeddings.safetensors").unlink()
    with pytest.raises(WeightsDamaged, match=r"embeddings\.safetensors of these weights is missing"):
        open_weights(folder).embeddings()
    assert dict(verify_weights(folder))["embeddings.safetensors"] == "it is missing"


def test_the_manifest_proves_itself(weights, tmp_path):
    folder = shutil.copytree(weights.folder, tmp_path / "weights")
    assert {fault for _name, fault in verify_weights(folder)} == {None}
    file = folder / "manifest.json"
    whole = file.read_bytes()
    noticed = 0
    for at in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[at] ^= 1
        file.write_bytes(changed)
        try:
            assert open_weights(folder).facts == weights.facts  # a blank between the facts is another
        except ValueError:
            noticed += 1
    assert noticed > len(whole) // 10


STEPS = {
    "blocks.1.attn.W_Q": [0.1, 0.2, 0.3, 0.4],
    "blocks.1.attn.W_K": [0.5, 0.6, 0.7, 0.8],
    "blocks.1.attn.W_V": [0.0] * 4,
    "blocks.1.mlp.W_out": [0.9],
    "embed.W_E": [0.25],
    "pos_embed.W_pos": [0.5],
}


def mean_variance(noise) -> float:
    return float(torch.outer(noise.rows, noise.columns).mean())


def test_each_head_is_off_by_its_own_steps(weights):
    read = replace(weights, steps=STEPS).head(1, 2)
    assert set(read.noise) == {"W_Q", "W_K", "W_V"}
    assert mean_variance(read.noise["W_Q"]) == pytest.approx(0.3**2 / 12)
    assert mean_variance(read.noise["W_K"]) == pytest.approx(0.7**2 / 12)
    assert read.noise["W_V"].is_zero
    assert read.noise["W_Q"].columns.shape == (D_HEAD,)
    assert weights.head(1, 2).noise == replace(weights, steps=STEPS).head(0, 2).noise == {}


def test_heads_that_share_keys_are_off_by_the_same(weights):
    shared = replace(weights, facts=replace(weights.facts, n_kv_heads=2), steps=STEPS)
    read = [shared.head(1, head).noise for head in range(N_HEADS)]
    assert [mean_variance(noise["W_K"]) for noise in read] == pytest.approx([x**2 / 12 for x in (0.5, 0.5, 0.6, 0.6)])
    assert [mean_variance(noise["W_Q"]) for noise in read] == pytest.approx(
        [x**2 / 12 for x in STEPS["blocks.1.attn.W_Q"]]
    )


def test_blocks_lie_within_what_a_neuron_or_token_reads_or_a_coordinate_is_written_from(weights):
    known = replace(weights, steps=STEPS)
    written, ends = known.mlp(1), known.embeddings()
    assert set(written.noise) == {"W_out"}
    W_pos = known.positions()
    for noise, weight, blocks in (
        (written.noise["W_out"], written.W_out, "columns"),
        (known.noise_of_embedding(ends.W_E), ends.W_E, "rows"),
        (known.noise_of_unembedding(ends.W_U), ends.W_U, "columns"),
        (known.noise_of_positions(W_pos), W_pos, "rows"),
    ):
        assert torch.outer(noise.rows, noise.columns).shape == weight.shape
        sizes = weight.double().square().mean(dim=0 if blocks == "columns" else 1)
        uneven, even = (noise.columns, noise.rows) if blocks == "columns" else (noise.rows, noise.columns)
        torch.testing.assert_close(uneven / uneven.mean(), sizes / sizes.mean())
        assert len(even.unique()) == 1
    untied = replace(known, facts=replace(known.facts, tied=False))
    assert untied.noise_of_unembedding(ends.W_U) is None
    assert weights.noise_of_positions(W_pos) is None
