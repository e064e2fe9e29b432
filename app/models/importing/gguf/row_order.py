"""A check of the order of queries' and keys' rows, by the loss of an English sentence.

llama.cpp keeps those rows in another order than transformers, and nothing in a file says whether its writer did: an
import's own checks compare the same weights with themselves. A model that has learnt English tells: wrong rows cost
SmolLM2-135M 0.9 nats a token. Both ways run here side by side, a layer at a time. Of models that have learnt no English,
or nothing yet, it says nothing.
"""

import copy
import math
from typing import Any

import torch
from jaxtyping import Float32, Int64
from tokenizers import Tokenizer
from torch import Tensor

from app.models.importing.allowance import bytes_allowed, limit_memory
from app.models.importing.alone import explain_failure, whole_config
from app.models.importing.folder.checkpoint import Checkpoint
from app.models.importing.folder.families import architecture_of
from app.models.importing.folder.stored_values import read_blocks, read_tensor
from app.models.refusal import ImportRefused

SENTENCE = (
    "The old man sat by the window and watched the rain fall on the empty street, thinking of all the years that had "
    "gone by."
)
LEARNT = 0.6
"""Largest loss of a model that has learnt English, as a share of that of guessing any token."""
ROWS = 4096
"""Tokens scored at a time."""


def refuse_other_rows(checkpoint: Checkpoint) -> None:
    """Raise ImportRefused if a Llama's rows, as they are now, give a higher loss than in the file's order."""
    with limit_memory(bytes_allowed(checkpoint.tensors)), torch.inference_mode():
        try:
            now, before = losses_of(checkpoint)
        except RuntimeError as error:  # weights that do not fit the config
            raise explain_failure("transformers cannot open the model", error) from error
    guessing = math.log(checkpoint.tensor("model.embed_tokens.weight").shape[0])
    if before < min(now, LEARNT * guessing):
        raise ImportRefused(
            "the rows of its queries and keys are not in the order that llama.cpp keeps them in: put into transformers' "
            f"order, the model reads English worse ({now:.2f} nats a token) than without ({before:.2f}). Import the "
            "checkpoint that it was made from"
        )


def losses_of(checkpoint: Checkpoint) -> tuple[float, float]:
    """Compute the sentence's loss in nats a token, with rows as they are and as llama.cpp's neighbouring pairs."""
    config = whole_config(checkpoint, architecture_of(checkpoint.config))
    ids = torch.tensor(Tokenizer.from_str(checkpoint.tokenizer.decode("utf-8")).encode(SENTENCE).ids)
    ids = ids[ids < config.vocab_size]
    if len(ids) < 2:
        return 0.0, 0.0
    embedding = checkpoint.tensor("model.embed_tokens.weight")
    stream = torch.empty(len(ids), config.hidden_size)
    for rows, values in read_blocks(checkpoint, embedding, ROWS):
        is_here = (ids >= rows.start) & (ids < rows.stop)
        stream[is_here] = values[ids[is_here] - rows.start].float()
    ways = [stream[None], stream[None]]
    layer = _Layer(checkpoint, config, len(ids))
    for index in range(config.num_hidden_layers):
        ways = layer.run(index, *ways)
    scale = read_tensor(checkpoint, checkpoint.tensor("model.norm.weight")).float()
    final = torch.cat(ways)
    final = final * torch.rsqrt(final.square().mean(dim=-1, keepdim=True) + config.rms_norm_eps) * scale
    now, before = _losses(checkpoint, final, ids)
    return now, before


class _Layer:
    """A layer of the model whose weights are replaced by those of each layer in turn, without copies."""

    def __init__(self, checkpoint: Checkpoint, config: Any, n: int) -> None:
        import transformers

        self._checkpoint, self._config = checkpoint, config
        alone = copy.deepcopy(config)
        alone.num_hidden_layers = 1
        with torch.device("meta"):
            model = getattr(transformers, architecture_of(checkpoint.config))(alone).model
        self._layer = model.layers[0].eval()
        positions = torch.arange(n)[None]
        self._turns = type(model.rotary_emb)(config=config)(torch.zeros(1), positions)
        self._mask = torch.full((n, n), torch.finfo(torch.float32).min).triu(1)[None, None]

    def run(
        self, layer: int, now: Float32[Tensor, "1 pos d_model"], before: Float32[Tensor, "1 pos d_model"]
    ) -> list[Float32[Tensor, "1 pos d_model"]]:
        """Run that layer on the two streams, with its rows as they are and in pairs."""
        prefix = f"model.layers.{layer}."
        state = {
            tensor.name.removeprefix(prefix): read_tensor(self._checkpoint, tensor).float()
            for tensor in self._checkpoint.tensors
            if tensor.name.startswith(prefix)
        }
        heads = {"q": self._config.num_attention_heads, "k": self._config.num_key_value_heads}
        names = {f"self_attn.{kind}_proj.{part}": n for kind, n in heads.items() for part in ("weight", "bias")}
        in_pairs = state | {name: _pair_rows(state[name], n) for name, n in names.items() if name in state}
        return [self._run_one(state, now), self._run_one(in_pairs, before)]

    def _run_one(self, state: dict[str, Tensor], stream: Tensor) -> Tensor:
        self._layer.load_state_dict(state, assign=True)
        out = self._layer(stream, attention_mask=self._mask, position_embeddings=self._turns)
        found: Tensor = out[0] if isinstance(out, tuple) else out
        return found


def _pair_rows(rows: Float32[Tensor, "rows *columns"], n_heads: int) -> Float32[Tensor, "rows *columns"]:
    """Put rows whose halves follow each other in pairs."""
    return rows.reshape(n_heads, 2, -1, *rows.shape[1:]).transpose(1, 2).reshape(rows.shape)


def _losses(
    checkpoint: Checkpoint, final: Float32[Tensor, "ways pos d_model"], ids: Int64[Tensor, " pos"]
) -> list[float]:
    """Compute the loss of each way, over all tokens but the first."""
    names = {tensor.name for tensor in checkpoint.tensors}
    unembedding = checkpoint.tensor("lm_head.weight" if "lm_head.weight" in names else "model.embed_tokens.weight")
    total = torch.full(final.shape[:2], -math.inf)
    own = torch.zeros(final.shape[0], len(ids) - 1)
    for rows, values in read_blocks(checkpoint, unembedding, ROWS):
        scores = final @ values.float().T
        total = torch.logaddexp(total, scores.logsumexp(dim=-1))
        is_here = ((ids[1:] >= rows.start) & (ids[1:] < rows.stop)).nonzero().flatten()
        own[:, is_here] = scores[:, is_here, ids[1:][is_here] - rows.start]
    found: list[float] = (total[:, :-1] - own).mean(dim=1).tolist()
    return found
