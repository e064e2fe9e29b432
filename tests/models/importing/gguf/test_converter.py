"""What is written of a GGUF file is the checkpoint that llama.cpp's converter made it of: names, numbers and logits."""

import json

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from app.models.importing.folder.checkpoint import open_checkpoint
from app.models.importing.gguf.converter import convert_gguf
from app.models.importing.gguf.header import read_gguf_header
from app.models.refusal import ImportRefused
from tests.families import FAMILIES, LLAMA3, write_family
from tests.llama_cpp import write_gguf

Kind = gguf.GGMLQuantizationType
LONG = {"rope_type": "longrope", "short_factor": [1.0, 1.5, 2.0, 3.0], "long_factor": [1.0, 2.0, 4.0, 8.0]}
LINEAR = {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 4.0}
DEFAULT = {"rope_type": "default", "rope_theta": 10_000.0}
CASES = {
    "llama": {},
    "llama, untied": {"tie_word_embeddings": False},
    "llama, tied": {"tie_word_embeddings": True},
    "llama, wide": {"head_dim": 16},
    "llama, linear": {"rope_parameters": LINEAR},
    "llama-3.1": {"rope_parameters": LLAMA3 | {"rope_theta": 500_000.0}},
    "llama-yarn": {},
    "mistral": {},
    "qwen2": {},
    "qwen3": {},
    "gemma2": {"num_hidden_layers": 3, "query_pre_attn_scalar": 16, "layer_types": None},
    "gemma3": {
        "num_hidden_layers": 7,
        "query_pre_attn_scalar": 16,
        "layer_types": None,
        "rope_parameters": {"full_attention": LINEAR | {"rope_theta": 1e6}, "sliding_attention": DEFAULT},
    },
    "phi3": {},
    "phi3, long": {"rope_parameters": LONG | {"rope_theta": 10_000.0}, "original_max_position_embeddings": 32},
    "phi3, partly turned": {"partial_rotary_factor": 0.5},
    "gpt2": {},
    "starcoder2": {},
    "stablelm": {"use_qkv_bias": True},
    "stablelm-qk": {},
}
N_TOKENS = 40
"""More than the windows of layers that have some."""


def converted(path, folder):
    folder.mkdir()
    return convert_gguf(path, read_gguf_header(path), folder, lambda done, total: None)


def stored_in(folder):
    shards = [load_file(file) for file in sorted(folder.glob("*.safetensors"))]
    return {name: tensor for shard in shards for name, tensor in shard.items()}


def logits(folder):
    import transformers

    transformers.utils.logging.disable_progress_bar()
    architecture = json.loads((folder / "config.json").read_text())["architectures"][0]
    build = getattr(transformers, architecture)
    model, info = build.from_pretrained(
        folder, dtype=torch.float64, attn_implementation="eager", output_loading_info=True
    )
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    with torch.no_grad():
        return model(torch.arange(N_TOKENS)[None] * 7 % 97).logits


@pytest.mark.parametrize("case", CASES)
def test_a_file_gives_back_the_checkpoint_that_it_was_made_from(tmp_path, case):
    family = case.partition(",")[0]
    original = write_family(family, tmp_path / "original", **CASES[case])
    path = write_gguf(original, tmp_path / "model.gguf", name="Mistral 7B" if family == "mistral" else "")
    assert converted(path, tmp_path / "converted") is None
    before, after = stored_in(original), stored_in(tmp_path / "converted")
    assert after.keys() == before.keys()
    for name, tensor in before.items():
        lifted = family.startswith("gemma") and name.endswith("norm.weight")
        # w + 1 - 1 in float32 is w but for the last place of the 1.
        torch.testing.assert_close(after[name].float(), tensor, rtol=0, atol=2**-23 if lifted else 0)
    own, theirs = open_checkpoint(tmp_path / "converted"), open_checkpoint(original)
    assert own.architecture == theirs.architecture == FAMILIES[family][0]
    torch.testing.assert_close(logits(tmp_path / "converted"), logits(original), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [Kind.Q8_0, Kind.Q4_1, Kind.Q4_0, Kind.F16, Kind.BF16])
def test_every_number_is_the_one_in_its_block(tmp_path, kind):
    original = write_family("llama", tmp_path / "original", intermediate_size=64)
    path = write_gguf(original, tmp_path / "model.gguf", kind=kind)
    converted(path, tmp_path / "converted")
    after = stored_in(tmp_path / "converted")
    # Rows that llama.cpp leaves where they are, in the `gguf` package's own reading.
    names = {
        "blk.1.ffn_down.weight": "model.layers.1.mlp.down_proj.weight",
        "token_embd.weight": "model.embed_tokens.weight",
    }
    for tensor in gguf.GGUFReader(path).tensors:
        if tensor.name in names:
            expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
            np.testing.assert_array_equal(after[names[tensor.name]].float().numpy(), expected)
    dtypes = {Kind.F16: torch.float16, Kind.BF16: torch.bfloat16}
    assert after["model.layers.1.mlp.down_proj.weight"].dtype == dtypes.get(kind, torch.float32)


def test_steps_are_those_of_each_heads_blocks(tmp_path):
    original = write_family("llama", tmp_path / "original", intermediate_size=64, hidden_size=64, head_dim=32)
    path = write_gguf(original, tmp_path / "model.gguf", kind=Kind.Q4_1)
    found = converted(path, tmp_path / "converted")
    assert (found.kind, found.bits) == ("Q4_1", 4)
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}

    def steps(name):
        """The scale of each block, from its first two bytes: [rows, blocks]."""
        raw = np.asarray(tensors[name].data)
        return raw.reshape(len(raw), -1, 20)[:, :, :2].copy().view(np.float16)[:, :, 0].astype(np.float64)

    def root_mean_square(part):
        return np.sqrt(np.mean(np.square(part)))

    keys, writes = steps("blk.1.attn_k.weight"), steps("blk.0.attn_output.weight")
    expected = [root_mean_square(keys[head * 32 : head * 32 + 32]) for head in range(2)]
    np.testing.assert_allclose(found.steps["blocks.1.attn.W_K"], expected, rtol=1e-5)
    expected = [root_mean_square(writes[:, head]) for head in range(4)]
    np.testing.assert_allclose(found.steps["blocks.0.attn.W_O"], expected, rtol=1e-5)
    np.testing.assert_allclose(
        found.steps["blocks.0.mlp.W_in"], [root_mean_square(steps("blk.0.ffn_up.weight"))], rtol=1e-5
    )
    assert found.steps["embed.W_E"] != found.steps["unembed.W_U"]
    assert len(found.steps["blocks.1.attn.W_Q"]) == 4


def test_fused_tensors_have_the_steps_of_their_parts(tmp_path):
    original = write_family("phi3", tmp_path / "original", intermediate_size=64)
    stored = load_file(original / "model.safetensors")
    qkv, gates = stored["model.layers.0.self_attn.qkv_proj.weight"], stored["model.layers.0.mlp.gate_up_proj.weight"]
    qkv[32 + 8 : 32 + 16] *= 1000  # the second head of keys
    gates[64:] *= 1000  # below the gates
    from safetensors.torch import save_file

    save_file(stored, original / "model.safetensors", {"format": "pt"})
    found = converted(write_gguf(original, tmp_path / "model.gguf", kind=Kind.Q8_0), tmp_path / "converted").steps
    assert found["blocks.0.attn.W_K"][1] > 100 * max(found["blocks.0.attn.W_K"][0], *found["blocks.0.attn.W_V"])
    assert found["blocks.0.mlp.W_in"][0] > 100 * found["blocks.0.mlp.W_gate"][0]


def test_matrices_of_another_kind_are_named(tmp_path):
    original = write_family("phi3", tmp_path / "original", intermediate_size=64, tie_word_embeddings=False)
    exact = ("token_embd.weight", "blk.1.attn_qkv.weight")
    path = write_gguf(original, tmp_path / "model.gguf", kind=Kind.Q8_0, exact=exact)
    found = converted(path, tmp_path / "converted")
    attention = {f"blocks.1.attn.W_{letter}": "F32" for letter in "QKV"}
    assert found.others == {"embed.W_E": "F32"} | attention
    assert found.steps["blocks.1.attn.W_K"] == [0.0, 0.0]


def test_an_unembedding_that_is_the_embedding_is_kept_once(tmp_path):
    original = write_family("llama", tmp_path / "original", tie_word_embeddings=True)

    def add_output(writer, tensors):
        tensors["output.weight"] = tensors["token_embd.weight"]

    converted(write_gguf(original, tmp_path / "model.gguf", change=add_output), tmp_path / "converted")
    assert json.loads((tmp_path / "converted" / "config.json").read_text())["tie_word_embeddings"]
    assert "lm_head.weight" not in stored_in(tmp_path / "converted")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda _, tensors: tensors.update({"blk.0.odd.weight": np.ones(4)}),
            "a tensor blk.0.odd.weight, which no Llama",
        ),
        (lambda _, tensors: tensors.pop("token_embd.weight"), "no embedding"),
        (lambda writer, _: writer.add_expert_count(8), "mixtures of experts are not read"),
        (lambda writer, _: writer.add_clamp_kqv(8.0), r"says llama\.attention\.clamp_kqv"),
        (lambda writer, _: writer.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE), "by 'longrope'"),
        (lambda writer, _: writer.add_type("adapter"), "holds 'adapter', not a model"),
        (lambda _, tensors: tensors.update({"blk.0.attn_k.weight": np.ones((15, 32))}), "15 rows of queries or keys"),
        (
            lambda _, tensors: tensors.update({"rope_freqs.weight": np.full(4, np.nan)}),
            "factors in rope_freqs.weight that are",
        ),
        (
            lambda writer, _: writer.add_rope_dimension_count(6),
            "turn 6 of a head's 8 numbers .*: all of them are meant",
        ),
        (
            lambda writer, _: writer.add_block_count(10**6),
            "what the file says of itself makes no model: .*num_hidden_layers",
        ),
        (lambda _, tensors: tensors.update({"rope_freqs.weight": np.ones(5000)}), "5,000 factors in rope_freqs.weight"),
        (
            lambda writer, _: writer.add_head_count_kv([2, 1]),
            r"has \[2, 1\] for llama.attention.head_count_kv: expected",
        ),
        (
            lambda writer, _: writer.add_string("llama.context_length", "x"),
            "for llama.context_length: expected a whole number",
        ),
        (
            lambda writer, _: writer.add_rope_freq_base(-1.0),
            r"has -1.0 for llama.rope.freq_base: expected a number above 0",
        ),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path, change, words):
    original = write_family("llama", tmp_path / "original")
    path = write_gguf(original, tmp_path / "model.gguf", change=change)
    with pytest.raises(ImportRefused, match=words):
        converted(path, tmp_path / "converted")


def test_whoever_is_told_may_end_it_in_words_of_their_own(tmp_path):
    class Enough(Exception):
        pass

    def report(done, total):
        raise Enough(done, total)

    original = write_family("llama", tmp_path / "original")
    path = write_gguf(original, tmp_path / "model.gguf")
    (tmp_path / "converted").mkdir()
    with pytest.raises(Enough):
        convert_gguf(path, read_gguf_header(path), tmp_path / "converted", report)


def test_other_families_are_refused_by_name(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ImportRefused, match=r"GGUF files of 'mamba' are not read, those of llama, qwen2, .* are"):
        converted(tmp_path / "m.gguf", tmp_path / "converted")


def test_rows_that_are_no_heads_are_refused(tmp_path):
    original = write_family("qwen2", tmp_path / "original", intermediate_size=64)

    def cut(_, tensors):
        tensors["blk.0.attn_v.weight"] = tensors["blk.0.attn_v.weight"][:15]

    path = write_gguf(original, tmp_path / "model.gguf", kind=Kind.Q8_0, change=cut)
    with pytest.raises(ImportRefused, match=r"blocks.0.attn_v of 15 rows, which are not 2 heads"):
        converted(path, tmp_path / "converted")


def test_norms_of_heads_that_are_one_row_are_refused(tmp_path):
    original = write_family("stablelm-qk", tmp_path / "original")

    def flatten(_, tensors):
        tensors["blk.0.attn_q_norm.weight"] = tensors["blk.0.attn_q_norm.weight"].flatten()

    with pytest.raises(ImportRefused, match=r"model.gguf cannot be unpacked"):
        converted(write_gguf(original, tmp_path / "model.gguf", change=flatten), tmp_path / "converted")
