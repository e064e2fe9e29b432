"""Every architecture: heads and MLPs against the checkpoint's own tensors, and folded against forward passes and the
library's own folding."""

import re

import pytest
import torch
from safetensors.torch import load_file
from torch.nn.functional import layer_norm, rms_norm, silu

from app.core.circuits import ov, qk
from app.core.folding import fold_embedding, fold_head, fold_mlp, fold_unembedding
from app.core.mlp import Mlp
from app.models.catalog import Catalog
from app.models.importing.folder.families import FAMILIES as ARCHITECTURES
from app.models.importing.folder.families import WITHOUT, architecture_of
from app.models.importing.importer import import_model
from app.models.refusal import ImportRefused
from app.models.weights import Weights, open_weights
from tests.conftest import Member
from tests.families import D_VOCAB, FAMILIES, write_family

N_LAYERS, N_HEADS, D_MODEL = 2, 4, 32

# Projections by how checkpoints name them, as [rows of heads, d_model] after transposing where they are Conv1D.
SEPARATE = {
    "GPTNeoForCausalLM": "attn.attention.{q_proj,k_proj,v_proj,out_proj}",
    "GPTJForCausalLM": "attn.{q_proj,k_proj,v_proj,out_proj}",
    "PhiForCausalLM": "self_attn.{q_proj,k_proj,v_proj,dense}",
    "OPTForCausalLM": "self_attn.{q_proj,k_proj,v_proj,out_proj}",
    "BertForMaskedLM": "attention.{self.query,self.key,self.value,output.dense}",
    "RobertaForMaskedLM": "attention.{self.query,self.key,self.value,output.dense}",
}
USUAL = "self_attn.{q_proj,k_proj,v_proj,o_proj}"

MLPS = {
    "GPT2LMHeadModel": "mlp.{c_fc,c_proj}",
    "GPTNeoForCausalLM": "mlp.{c_fc,c_proj}",
    "GPTBigCodeForCausalLM": "mlp.{c_fc,c_proj}",
    "Starcoder2ForCausalLM": "mlp.{c_fc,c_proj}",
    "GPTNeoXForCausalLM": "mlp.{dense_h_to_4h,dense_4h_to_h}",
    "FalconForCausalLM": "mlp.{dense_h_to_4h,dense_4h_to_h}",
    "BloomForCausalLM": "mlp.{dense_h_to_4h,dense_4h_to_h}",
    "GPTJForCausalLM": "mlp.{fc_in,fc_out}",
    "PhiForCausalLM": "mlp.{fc1,fc2}",
    "OPTForCausalLM": "{fc1,fc2}",
    "Phi3ForCausalLM": "mlp.{gate_up_proj,down_proj}",
    "BertForMaskedLM": "{intermediate.dense,output.dense}",
    "RobertaForMaskedLM": "{intermediate.dense,output.dense}",
}
USUAL_MLP = "mlp.{up_proj,gate_proj,down_proj}"
"""What reads, its gate if it has one, what writes."""

NOT_FOLDED_BY_THE_LIBRARY = {"qwen3", "qwen3-moe", "gemma3", "stablelm-qk", "cohere-qk", "olmo2"}
"""Their norms of queries and keys are absorbed here, and left alone there."""
POST_NORMS = {"gemma2", "gemma3", "olmo2"}
"""The library leaves the gains of norms after the heads; W_U: not centred in Gemma 2, without its gain in OLMo-2."""
NO_FOLDING_IN_THE_LIBRARY = {"phi3", "olmo2"}
"""It says so with a warning."""
GATE_NOT_CENTRED_BY_THE_LIBRARY = {"stablelm", "stablelm-qk", "cohere", "cohere-qk", "olmo"}
"""Which is harmless to it: what its norm leaves has no mean."""
ENCODERS = {"bert", "roberta"}
MIXTURES = {"qwen3-moe", "mixtral", "gpt-oss"}
DENSE = [name for name in FAMILIES if name not in MIXTURES]
LEARNED = {"gpt2", "gpt-neo", "bigcode", "opt"} | ENCODERS


def opened(member) -> Weights:
    catalog = Catalog(member.data)
    return open_weights(catalog.weights_folder(catalog.get(member.name).fingerprint))


def layer_of(state: dict[str, torch.Tensor], layer: int) -> dict[str, torch.Tensor]:
    """The checkpoint's tensors of that layer, by their names inside it."""
    return {
        re.sub(rf"^.*?\.{layer}\.", "", key): tensor
        for key, tensor in state.items()
        if re.match(rf"^.*?(h|layers|layer)\.{layer}\.", key)
    }


def mlp_names(name: str) -> list[str]:
    """How the checkpoint names what reads, the gate if there is one of its own, and what writes."""
    prefix, names = MLPS.get(FAMILIES[name][0], USUAL_MLP).removesuffix("}").split("{")
    return [prefix + each for each in names.split(",")]


def mlp_by_hand(name: str, of_layer: dict[str, torch.Tensor]) -> dict[str, torch.Tensor | None]:
    """The tensors of an Mlp, cut out of the checkpoint's."""
    stored = {}
    for part, each in zip(
        ("in", "gate", "out") if len(mlp_names(name)) == 3 else ("in", "out"), mlp_names(name), strict=True
    ):
        weight = of_layer[f"{each}.weight"]
        stored[f"W_{part}"] = weight if name == "gpt2" else weight.T
        stored[f"b_{part}"] = of_layer.get(f"{each}.bias", torch.zeros(stored[f"W_{part}"].shape[1]))
    if name == "phi3":  # the gate stands first
        (stored["W_gate"], stored["W_in"]), m = stored["W_in"].chunk(2, dim=1), stored["W_out"].shape[0]
        stored["b_in"] = stored["b_gate"] = torch.zeros(m)
    return {"W_gate": None, "b_gate": None} | stored


def projections(name: str, state: dict[str, torch.Tensor], layer: int, weights: Weights) -> dict[str, torch.Tensor]:
    """W_Q W_K W_V [heads, d, h] and W_O [heads, h, d], cut out of the checkpoint's tensors by hand."""
    architecture, h = FAMILIES[name][0], weights.facts.d_head
    n_kv = weights.facts.n_kv_heads
    of_layer = layer_of(state, layer)
    if architecture in {"GPT2LMHeadModel", "GPTBigCodeForCausalLM"}:
        fused, out = of_layer["attn.c_attn.weight"], of_layer["attn.c_proj.weight"]
        rows = fused.T if architecture == "GPT2LMHeadModel" else fused
        out_rows = out if architecture == "GPT2LMHeadModel" else out.T
        q, k, v = rows.split([N_HEADS * h, n_kv * h, n_kv * h])
    elif name in {"neox", "neox-serial", "bloom", "falcon-rw"}:
        prefix = "attention" if name.startswith("neox") else "self_attention"
        by_head = of_layer[f"{prefix}.query_key_value.weight"].reshape(N_HEADS, 3, h, D_MODEL)
        q, k, v = (by_head[:, i].reshape(-1, D_MODEL) for i in range(3))
        out_rows = of_layer[f"{prefix}.dense.weight"].T
    elif name == "falcon":
        q, k, v = of_layer["self_attention.query_key_value.weight"].split([N_HEADS * h, h, h])
        out_rows = of_layer["self_attention.dense.weight"].T
    elif name == "phi3":
        q, k, v = of_layer["self_attn.qkv_proj.weight"].split([N_HEADS * h, n_kv * h, n_kv * h])
        out_rows = of_layer["self_attn.o_proj.weight"].T
    else:
        prefix, names = SEPARATE.get(architecture, USUAL).removesuffix("}").split("{")
        q, k, v, out = (of_layer[f"{prefix}{each}.weight"] for each in names.split(","))
        out_rows = out.T
    return {
        "W_Q": q.reshape(N_HEADS, h, D_MODEL).transpose(1, 2),
        "W_K": k.reshape(n_kv, h, D_MODEL).transpose(1, 2),
        "W_V": v.reshape(n_kv, h, D_MODEL).transpose(1, 2),
        "W_O": out_rows.reshape(N_HEADS, h, D_MODEL),
    }


def test_every_architecture_has_a_member():
    assert {architecture for architecture, _config in FAMILIES.values()} == set(ARCHITECTURES)


@pytest.mark.parametrize("name", FAMILIES)
def test_raw_circuits_are_products_of_the_checkpoints_tensors(member, name):
    """In float64, every head of every layer, keys and values of the group that its query belongs to."""
    weights = opened(member(name))
    state = load_file(member(name).folder / "model.safetensors")
    for layer in range(N_LAYERS):
        by_hand = {key: tensor.double() for key, tensor in projections(name, state, layer, weights).items()}
        for head in range(N_HEADS):
            group = head * weights.facts.n_kv_heads // N_HEADS
            read = weights.head(layer, head)
            OV = by_hand["W_V"][group] @ by_hand["W_O"][head]
            QK = by_hand["W_Q"][head] @ by_hand["W_K"][group].T
            torch.testing.assert_close(ov(read).dense(), OV, rtol=1e-12, atol=1e-12)
            torch.testing.assert_close(qk(read).dense(), QK, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", DENSE)
def test_raw_mlps_are_the_checkpoints_tensors(member, name):
    weights = opened(member(name))
    state = load_file(member(name).folder / "model.safetensors")
    for layer in range(N_LAYERS):
        read = weights.mlp(layer)
        for key, expected in mlp_by_hand(name, layer_of(state, layer)).items():
            found = getattr(read, key)
            assert (found is None) == (expected is None), key
            assert found is None or torch.equal(found, expected), key
        assert read.W_in.shape == (D_MODEL, weights.facts.d_mlp)
        assert (read.W_gate is not None) == weights.facts.gated


def test_biases_of_a_gate(tmp_path):
    """Llama has them where its config says so."""
    folder = write_family("llama", tmp_path / "checkpoint", mlp_bias=True)
    import_model(str(folder), tmp_path, slug="llama", report=lambda progress: None)
    weights = opened(Member("llama", folder, tmp_path))
    of_layer = layer_of(load_file(folder / "model.safetensors"), 1)
    read = weights.mlp(1)
    for found, name in ((read.b_in, "up"), (read.b_gate, "gate"), (read.b_out, "down")):
        assert torch.equal(found, of_layer[f"mlp.{name}_proj.bias"])


@pytest.mark.parametrize("name", sorted(MIXTURES))
def test_a_mixture_has_no_matrices(member, name):
    with pytest.raises(ValueError, match="mixtures of experts"):
        opened(member(name)).mlp(0)


@pytest.mark.parametrize("name", FAMILIES)
def test_positions_are_the_checkpoints(member, name):
    """From the first that a token can have: OPT and RoBERTa keep rows in front of it."""
    W_pos = opened(member(name)).positions()
    assert (W_pos is not None) == (name in LEARNED)
    if W_pos is not None:
        state = load_file(member(name).folder / "model.safetensors")
        (stored,) = (tensor for key, tensor in state.items() if re.search(r"wpe|embed_positions|position_emb", key))
        assert len(stored) - len(W_pos) == (2 if name in {"opt", "roberta"} else 0)
        assert torch.equal(W_pos, stored[-len(W_pos) :])


class Forward:
    """One layer's MLP in a forward pass of transformers in float64: rows of what went through its projections."""

    def __init__(self, name: str, folder, layer: int) -> None:
        import transformers

        plain = getattr(transformers, FAMILIES[name][0]).from_pretrained(folder, attn_implementation="eager")
        self.seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        self.normed: list[tuple[torch.Tensor, torch.Tensor]] = []
        """What went into each norm of the model, and what came out."""
        endings = {part: f".{layer}.{part}" for part in mlp_names(name)}
        for path, module in plain.double().eval().named_modules():
            if "Norm" in type(module).__name__:
                module.register_forward_hook(lambda _m, given, out: self.normed.append((rows(given[0]), rows(out))))
            for part, ending in endings.items():
                if path.endswith(ending):
                    module.register_forward_hook(
                        lambda _m, given, out, part=part: self.seen.update({part: (rows(given[0]), rows(out))})
                    )
        with torch.no_grad():
            plain(torch.arange(3, 15)[None])
        read, written = mlp_names(name)[0], mlp_names(name)[-1]
        self.read, self.pre = self.seen[read]
        self.hidden, self.written = self.seen[written]
        self.gate = self.seen[mlp_names(name)[1]][1] if len(mlp_names(name)) == 3 else None
        if name == "phi3":
            self.gate, self.pre = self.pre.chunk(2, dim=1)

    def stream(self) -> torch.Tensor:
        """What the MLP reads, before the norm if there is one."""
        return next((x for x, out in self.normed if torch.equal(out, self.read)), self.read)

    def added(self) -> torch.Tensor:
        """What the stream gets: what the MLP writes, after the norm if there is one."""
        return next((out for x, out in self.normed if torch.equal(x, self.written)), self.written)


def rows(tensor: torch.Tensor) -> torch.Tensor:
    """A copy: Falcon adds to what its MLP wrote in place."""
    return tensor.detach().reshape(-1, tensor.shape[-1]).clone()


@pytest.mark.parametrize("name", [name for name in DENSE if name not in ENCODERS])
def test_folded_mlps_do_what_the_model_does(member, name):
    """In float64, from the stream behind a norm without gain or shift to the neurons, and from these to the stream."""
    weights = opened(member(name))
    facts = weights.facts
    model = Forward(name, member(name).folder, 1)
    folded = fold_mlp(weights.mlp(1), weights.mlp_norms(1))
    x = model.stream()
    assert torch.equal(x, model.read) == (facts.mlp_reads == "stream")
    if facts.mlp_reads != "stream":
        norm = layer_norm if facts.normalization == "LN" else rms_norm
        x = norm(x, (D_MODEL,), eps=facts.eps)
    close(x @ folded.W_in.double() + folded.b_in.double(), model.pre)
    if model.gate is not None:
        close(x @ folded.W_gate.double() + folded.b_gate.double(), model.gate)
    found, expected = model.hidden @ folded.W_out.double() + folded.b_out.double(), model.added()
    if facts.normalization == "LN":
        close(found, expected - expected.mean(dim=1, keepdim=True))
    elif facts.mlp_post_norm:
        assert_same_rays(found, expected)
    else:
        close(found, expected)


@pytest.mark.parametrize("name", ["llama", "phi3"])
def test_the_gate_is_what_the_activation_acts_on(member, name):
    model = Forward(name, member(name).folder, 0)
    raw: Mlp = opened(member(name)).mlp(0)
    by_hand = silu(model.read @ raw.W_gate.double()) * (model.read @ raw.W_in.double())
    close(by_hand, model.hidden)


def close(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Up to float32's rounding of the largest."""
    assert float((found - expected).abs().max() / expected.abs().max()) < 3e-6


@pytest.mark.parametrize("name", FAMILIES)
def test_both_ends_are_the_checkpoints(member, name):
    weights = opened(member(name))
    facts, ends = weights.facts, weights.embeddings()
    stored = load_file(member(name).folder / "model.safetensors")
    by_token = [tensor for tensor in stored.values() if tensor.shape == (D_VOCAB, D_MODEL)]
    assert len(by_token) == (1 if facts.tied else 2)
    assert any(torch.equal(ends.W_E, tensor) for tensor in by_token)
    assert any(torch.equal(ends.W_U, tensor.T) for tensor in by_token)
    assert facts.tied == torch.equal(ends.W_E.T, ends.W_U)
    assert (facts.n_layers, facts.n_heads, facts.d_vocab) == (N_LAYERS, N_HEADS, D_VOCAB)
    assert facts.n_params == sum(tensor.numel() for tensor in stored.values())


@pytest.mark.parametrize("name", sorted(FAMILIES.keys() - ENCODERS - NO_FOLDING_IN_THE_LIBRARY))
def test_folded_is_the_librarys_compatibility_mode(member, name):
    """Where the library folds what is folded here (bridge, section 4): readers, writers, unembedding."""
    weights, library = opened(member(name)), compatible(member(name).folder, FAMILIES[name][0])
    facts = weights.facts
    for layer in range(N_LAYERS):
        for head in range(N_HEADS):
            norms = weights.norms(layer, head)
            folded = fold_head(weights.head(layer, head), norms)
            names = ["W_V"] if name in NOT_FOLDED_BY_THE_LIBRARY else ["W_Q", "W_K", "W_V", "b_Q", "b_K"]
            names += [] if name in POST_NORMS else ["W_O"]
            for tensor in names:
                expected = library[f"blocks.{layer}.attn.{tensor}"][head]
                torch.testing.assert_close(getattr(folded, tensor), expected, rtol=1e-4, atol=1e-5, msg=tensor)
        if facts.d_mlp:
            mlp = fold_mlp(weights.mlp(layer), weights.mlp_norms(layer))
            names = ["W_in"] if name in POST_NORMS else ["W_in", "W_out"]
            names += ["W_gate"] if facts.gated and name not in GATE_NOT_CENTRED_BY_THE_LIBRARY else []
            names += [] if facts.gated else ["b_in", "b_out"]
            for tensor in names:
                expected = library[f"blocks.{layer}.mlp.{tensor}"]
                torch.testing.assert_close(getattr(mlp, tensor), expected, rtol=1e-4, atol=1e-5, msg=tensor)
    ends, center = weights.embeddings(), facts.normalization == "LN"
    if ends.embed_gain is None:
        expected = library["embed.W_E"]
        torch.testing.assert_close(fold_embedding(ends.W_E, center), expected, rtol=1e-4, atol=1e-5)
    W_pos = weights.positions()
    if W_pos is not None:
        expected = library["pos_embed.W_pos"][-len(W_pos) :]
        torch.testing.assert_close(fold_embedding(W_pos, center), expected, rtol=1e-4, atol=1e-5)
    W_U = fold_unembedding(ends.W_U, ends.final_gain, center)
    if name not in {"gemma2", "olmo"}:
        scale = FAMILIES[name][1].get("logit_scale", 0.0625 if name.startswith("cohere") else 1.0)
        torch.testing.assert_close(W_U * scale, library["unembed.W_U"], rtol=1e-4, atol=1e-5)


def test_phi3_reads_through_its_norm(member):
    """By hand, since the library does not fold it: `diag(gain) W`, with the checkpoint's gain."""
    weights = opened(member("phi3"))
    gain = load_file(member("phi3").folder / "model.safetensors")["model.layers.1.input_layernorm.weight"].double()
    raw = weights.head(1, 2)
    folded = fold_head(raw, weights.norms(1, 2))
    for name in ("W_Q", "W_K", "W_V"):
        torch.testing.assert_close(getattr(folded, name).double(), gain[:, None] * getattr(raw, name).double())
    assert torch.equal(folded.W_O, raw.W_O)


def test_bloom_has_a_norm_behind_its_embedding(member):
    """And only there: BERT's is part of a stream that cannot be folded."""
    stored = load_file(member("bloom").folder / "model.safetensors")
    ends = opened(member("bloom")).embeddings()
    assert torch.equal(ends.embed_gain, stored["transformer.word_embeddings_layernorm.weight"])
    assert torch.equal(ends.embed_shift, stored["transformer.word_embeddings_layernorm.bias"])
    assert "norm embed_ln" in Catalog(member("bloom").data).get("bloom").checks
    assert opened(member("bert")).embeddings().embed_gain is None
    assert opened(member("gpt2")).embeddings().embed_gain is None


def test_olmo2_reads_the_raw_stream(member):
    weights = opened(member("olmo2"))
    raw = weights.head(1, 2)
    assert torch.equal(fold_head(raw, weights.norms(1, 2)).W_V, raw.W_V)


def compatible(folder, architecture: str) -> dict[str, torch.Tensor]:
    """The library's folded parameters of the whole model."""
    import transformers
    from transformer_lens.model_bridge import TransformerBridge

    plain = getattr(transformers, architecture).from_pretrained(folder, attn_implementation="eager")
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), eos_token="bak")
    booted = TransformerBridge.boot_transformers(str(folder), device="cpu", hf_model=plain, tokenizer=tokenizer)
    booted.enable_compatibility_mode()
    return {name: tensor.detach() for name, tensor in booted.tl_parameters().items()}


@pytest.mark.parametrize("name", sorted(POST_NORMS | NOT_FOLDED_BY_THE_LIBRARY))
def test_gains_of_other_norms_are_absorbed(member, name):
    """Against a forward pass through those norms in float64, up to the length that they divide by."""
    weights = opened(member(name))
    facts = weights.facts
    x = torch.randn(9, D_MODEL, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for head in range(N_HEADS):
        norms, raw = weights.norms(1, head), weights.head(1, head)
        folded = fold_head(raw, norms)
        if facts.qk_norm != "none":
            for letter, gain in (("Q", norms.query_gain), ("K", norms.key_gain)):
                bare = fold_head(raw, type(norms)(norms.center, norms.gain, norms.shift))
                q = x @ getattr(bare, f"W_{letter}").double() + getattr(bare, f"b_{letter}").double()
                if facts.qk_norm == "LN":
                    q = q - q.mean(1, keepdim=True)
                expected = q / q.norm(dim=1, keepdim=True) * gain.double()
                found = x @ getattr(folded, f"W_{letter}").double() + getattr(folded, f"b_{letter}").double()
                assert_same_rays(found, expected)
        if facts.post_norm:
            z = torch.randn(9, facts.d_head, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
            written = z @ raw.W_O.double() * norms.post_gain.double()
            assert_same_rays(z @ folded.W_O.double(), written)


def assert_same_rays(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Each row a positive multiple of the other."""
    units = [rows / rows.norm(dim=1, keepdim=True) for rows in (found, expected)]
    torch.testing.assert_close(*units, rtol=1e-5, atol=1e-6)


def test_facts_of_the_families(member):
    facts = {name: opened(member(name)).facts for name in FAMILIES}
    assert {name for name in facts if facts[name].encoder} == ENCODERS
    assert {name for name in facts if facts[name].post_norm} == POST_NORMS
    assert {name for name in facts if not facts[name].reads_normed} == ENCODERS | {"olmo2"}
    assert {name for name in facts if facts[name].qk_norm != "none"} == NOT_FOLDED_BY_THE_LIBRARY
    assert {name for name in facts if facts[name].n_experts} == {"mixtral", "qwen3-moe", "gpt-oss"}
    assert {name for name in facts if facts[name].sinks} == {"gpt-oss"}
    assert {name for name in facts if facts[name].gain_offset} == {"gemma", "gemma2", "gemma3"}
    assert {name for name in facts if facts[name].positions == "alibi"} == {"bloom", "falcon-rw"}
    assert {name for name in facts if facts[name].positions == "learned"} == LEARNED
    assert {name for name in facts if facts[name].d_mlp == 0} == MIXTURES
    in_parallel = {"gptj", "phi", "falcon", "stablelm-qk", "cohere", "cohere-qk"}
    assert {name for name in facts if facts[name].mlp_reads == "ln1"} == in_parallel
    assert {name for name in facts if facts[name].mlp_reads == "stream"} == ENCODERS | {"olmo2"}
    assert {name for name in facts if facts[name].mlp_post_norm} == POST_NORMS
    for name in facts.keys() - {"bloom"}:
        assert facts[name].n_ctx == 64, name
    assert {facts[name].n_kv_heads for name in ("bigcode", "falcon")} == {1}


def test_layers_that_do_not_turn(member):
    assert [opened(member("smollm3")).rotary(layer) is None for layer in range(2)] == [False, True]
    manifests = {name: Catalog(member(name).data).get(name) for name in ("smollm3", "llama", "bert")}
    assert [manifest.still_layers for manifest in manifests.values()] == [[1], [], []]
    assert opened(member("bert")).rotary(0) is None


@pytest.mark.parametrize("named", WITHOUT)
def test_what_cannot_be_read_is_refused_with_its_reason(named):
    with pytest.raises(ImportRefused, match=f"{named} cannot be read: {re.escape(WITHOUT[named])}"):
        architecture_of({"architectures": [named]})


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"architectures": ["FalconForCausalLM"], "new_decoder_architecture": True}, "Falcon 40B and 180B"),
        ({"architectures": ["OPTForCausalLM"], "do_layer_norm_before": False, "hidden_size": 8}, "OPT-350m"),
        (
            {"architectures": ["OPTForCausalLM"], "word_embed_proj_dim": 4, "hidden_size": 8},
            "OPT-350m",
        ),
        ({"architectures": ["LlamaModel"]}, "LlamaModel has no unembedding: import the LlamaForCausalLM"),
        ({"architectures": ["Qwen3MoeForCausalLM"], "mlp_only_layers": [0]}, "only some of its layers are mixtures"),
        ({"architectures": ["Qwen3MoeForCausalLM"], "decoder_sparse_step": 2}, "only some of its layers are mixtures"),
        ({"architectures": ["Unheard"]}, "Unheard is not among"),
        *(
            ({"architectures": names}, "an unnamed architecture is not among")
            for names in (None, [], 3, [3], "Llama", {})
        ),
    ],
)
def test_refusals_by_config(config, words):
    with pytest.raises(ImportRefused, match=words):
        architecture_of(config)


@pytest.mark.parametrize(
    ("config", "architecture"),
    [
        ({"architectures": ["BertModel"]}, "BertForMaskedLM"),
        ({"architectures": ["GPT2Model"]}, "GPT2LMHeadModel"),
        ({"architectures": ["LlamaModel"], "tie_word_embeddings": True}, "LlamaForCausalLM"),
    ],
)
def test_base_models_whose_unembedding_is_known(config, architecture):
    assert architecture_of(config) == architecture
