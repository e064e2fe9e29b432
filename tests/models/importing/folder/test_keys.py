"""What of a config.json is handed on, and that nothing is left out which the families' own code reads."""

import importlib
import inspect
import re
import sys

import pytest

from app.models.importing.folder.families import FAMILIES
from app.models.importing.folder.keys import BOUNDS, keep_heeded
from app.models.refusal import ImportRefused

IDLE = {
    *("dropout", "attention_dropout", "attn_pdrop", "resid_pdrop", "embd_pdrop", "resid_dropout", "embed_dropout"),
    *("hidden_dropout", "hidden_dropout_prob", "attention_probs_dropout_prob", "residual_dropout", "layerdrop"),
    *("embedding_dropout", "classifier_dropout", "initializer_range", "init_std", "router_aux_loss_coef"),
    *("num_labels", "problem_type", "summary_type", "summary_use_proj", "summary_activation", "summary_hidden_size"),
    *("summary_proj_to_labels", "summary_first_dropout", "summary_last_dropout", "use_cache", "output_router_logits"),
    *("output_attentions", "output_hidden_states", "return_dict", "bos_token_id", "eos_token_id", "dtype"),
    *("pretraining_tp", "slow_but_exact", "chunk_size_feed_forward", "is_encoder_decoder", "_attn_implementation"),
}
"""No weight and no score of a model that is run on a few tokens, and not trained, depends on these."""
OWN = {"attention_layers", "get_text_config", "text_config", "vision_config", "image_token_id", "mm_tokens_per_image"}
"""Made by the library itself, or of models that are refused."""


@pytest.mark.parametrize("architecture", FAMILIES)
def test_all_that_the_librarys_own_code_reads_is_heeded(architecture):
    import transformers

    model = getattr(transformers, architecture)
    kind = model.config_class
    assert FAMILIES[architecture].model_type == kind.model_type
    source = inspect.getsource(sys.modules[model.__module__])
    read = set(re.findall(r"config\.(\w+)", source)) | set(re.findall(r'getattr\((?:self\.)?config, "(\w+)"', source))
    source = inspect.getsource(importlib.import_module(kind.__module__))
    read |= set(re.findall(r'kwargs\.(?:pop|get|setdefault)\("(\w+)"', source))
    read |= {key for key in kind.__annotations__ if not key.startswith("base_model_") and key in kind.__dict__}
    constants = {"model_type", "attribute_map", "keys_to_ignore_at_inference", "default_theta"}
    assert read - BOUNDS.keys() - IDLE - OWN - constants == set()


def test_nothing_else_is_handed_on():
    config = {"n_layer": 12, "num_labels": 10**9, "_attn_implementation": "x/y", "auto_map": {}, "model_type": "gpt2"}
    assert keep_heeded(config) == {"n_layer": 12}


@pytest.mark.parametrize(
    "config",
    [
        {"head_dim": None, "clip_qkv": None, "sliding_window": None, "rope_scaling": None, "layer_types": None},
        {"rope_theta": 45211203788.4, "layer_norm_epsilon": 1e-05, "logit_scale": 0.0625, "pad_token_id": -1},
        {"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e6}, "sliding_attention": None}},
        {"rope_scaling": {"type": "longrope", "short_factor": [1.0, 2], "long_factor": [1.5, 4.0]}},
        {"rope_scaling": {"rope_type": "yarn", "truncate": False, "factor": 32.0, "partial_rotary_factor": 0.25}},
        {"attention_types": [[["global", "local"], 12]], "no_rope_layers": [1, 0], "mlp_only_layers": []},
    ],
)
def test_what_real_models_say_is_handed_on_as_it_is(config):
    assert keep_heeded(config) == config


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"n_layer": 0}, "0 for n_layer: expected a whole number from 1 to 1,000"),
        ({"num_hidden_layers": 10**12}, "expected a whole number from 1 to 1,000"),
        ({"n_embd": "wide"}, "'wide' for n_embd: expected a whole number from 1 to 1,048,576"),
        ({"n_inner": 0.5}, "0.5 for n_inner"),
        ({"num_heads": True}, "True for num_heads"),
        ({"vocab_size": 10**30}, "for vocab_size: expected a whole number from 1 to 16,777,216"),
        ({"num_local_experts": 10**9}, "from 1 to 16,384"),
        ({"sliding_window": -1}, "from 0 to 1,073,741,824"),
        ({"partial_rotary_factor": 1e12}, "expected a number from 0 to 1"),
        ({"rope_theta": 1e300}, "expected a number above 0, of at most 1e"),
        ({"rope_theta": 0}, "0 for rope_theta: expected a number above 0"),
        ({"rope_parameters": {"rope_theta": -2.0}}, "for rope_parameters"),
        ({"rms_norm_eps": -1.0}, "-1.0 for rms_norm_eps: expected a number from 0 to"),
        ({"logit_scale": "1"}, "'1' for logit_scale"),
        ({"alibi": 1}, "1 for alibi: expected true or false"),
        ({"hidden_act": "x" * 65}, "expected a word of at most 64 letters"),
        ({"hidden_act": ["gelu"]}, "expected a word"),
        ({"attention_types": [[["global", "local"], 10**9]]}, "expected runs of at most 1,000 layers in all"),
        ({"attention_types": [[["global"] * 40, 40]]}, "expected runs"),
        ({"attention_types": [7]}, "expected runs"),
        ({"layer_types": ["full_attention"] * 1001}, "expected a list of at most 1,000"),
        ({"layer_types": [["full_attention"]]}, "expected a list"),
        ({"mlp_only_layers": [10**9]}, "expected a list"),
        ({"rope_parameters": {"partial_rotary_factor": 1e12}}, "expected words and numbers by name"),
        ({"rope_parameters": {"a": {"b": {"c": 1}}}}, "expected words and numbers"),
        ({"rope_scaling": {"long_factor": [1.0] * 4097}}, "expected words and numbers"),
        ({"rope_scaling": {"long_factor": ["1"]}}, "expected words and numbers"),
        ({"rope_scaling": {f"{i}": 1 for i in range(65)}}, "expected words and numbers"),
        ({"rope_scaling": [1]}, "expected words and numbers"),
        ({"pad_token_id": 10**9}, "expected a whole number from -1"),
    ],
)
def test_what_is_out_of_bounds_is_refused_by_name(config, words):
    with pytest.raises(ImportRefused) as refusal:
        keep_heeded(config)
    assert words in str(refusal.value)
    assert len(str(refusal.value)) < 200
