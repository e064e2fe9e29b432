"""The cost of importing and precomputing a large model: a synthetic Llama of 8 GB in bfloat16, in 4 GB of memory.

    python -m benchmarks.large [--layers 22] [--matrices ov] [--limit-gib 4] [--folder DIR]

Writes the checkpoint (and later the weights) below the folder, 20 GB in all, and removes them. Both run as the commands
do, in processes of their own, in a memory cgroup where this user may make one, else with a limit on their data.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from benchmarks.memory import sample_peak

GIB = 2**30
D_MODEL, D_MLP, N_HEADS, N_KV_HEADS, D_VOCAB = 4096, 11_008, 32, 8, 32_000
D_HEAD = D_MODEL // N_HEADS
CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": D_MODEL,
    "intermediate_size": D_MLP,
    "num_attention_heads": N_HEADS,
    "num_key_value_heads": N_KV_HEADS,
    "vocab_size": D_VOCAB,
    "max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
}
LAYER = {
    "input_layernorm": (D_MODEL,),
    "post_attention_layernorm": (D_MODEL,),
    "self_attn.q_proj": (D_MODEL, D_MODEL),
    "self_attn.k_proj": (N_KV_HEADS * D_HEAD, D_MODEL),
    "self_attn.v_proj": (N_KV_HEADS * D_HEAD, D_MODEL),
    "self_attn.o_proj": (D_MODEL, D_MODEL),
    "mlp.gate_proj": (D_MLP, D_MODEL),
    "mlp.up_proj": (D_MLP, D_MODEL),
    "mlp.down_proj": (D_MODEL, D_MLP),
}
ENDS = {"model.embed_tokens": (D_VOCAB, D_MODEL), "lm_head": (D_VOCAB, D_MODEL), "model.norm": (D_MODEL,)}


def write_checkpoint(folder: Path, n_layers: int) -> int:
    """Write a random Llama, one file a layer; return its bytes."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG | {"num_hidden_layers": n_layers}))
    Tokenizer(WordLevel({f"w{id_}": id_ for id_ in range(D_VOCAB)}, "w0")).save(str(folder / "tokenizer.json"))
    shapes = [ENDS, *({f"model.layers.{i}.{name}": shape for name, shape in LAYER.items()} for i in range(n_layers))]
    index = {}
    for number, tensors in enumerate(shapes, 1):
        file = f"model-{number:05d}-of-{len(shapes):05d}.safetensors"
        save_file({f"{name}.weight": _draw_weights(shape) for name, shape in tensors.items()}, folder / file)
        index |= {f"{name}.weight": file for name in tensors}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def run_limited(command: list[str], limit: int) -> tuple[int, float, int, str]:
    """Run a command in limited memory: exit status, seconds, peak anonymous bytes (sampled), kind of limit."""
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        kind = _limit_memory(process.pid, limit)
        peak = sample_peak(lambda: process.poll() is not None, process.pid)
    return process.returncode, time.perf_counter() - start, peak, kind


def _limit_memory(pid: int, limit: int) -> str:
    """Limit the memory of a process that has just begun."""
    group = Path("/sys/fs/cgroup/memory/singular-lens-large")
    try:
        group.mkdir(exist_ok=True)
        (group / "memory.limit_in_bytes").write_text(str(limit))
        (group / "tasks").write_text(str(pid))
    except OSError:
        resource.prlimit(pid, resource.RLIMIT_DATA, (limit, limit))
        return "limit on data"
    return "memory cgroup"


def _draw_weights(shape: tuple[int, ...]) -> torch.Tensor:
    if len(shape) == 1:
        return torch.ones(shape, dtype=torch.bfloat16)
    return (torch.randn(shape) / shape[-1] ** 0.5).to(torch.bfloat16)


def main() -> None:
    """Write the checkpoint, import it, precompute it, print the figures, and remove it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=22)
    parser.add_argument(
        "--matrices", default="ov", help="to precompute; half a minute a layer and circuit on two cores"
    )
    parser.add_argument("--limit-gib", type=float, default=4.0)
    parser.add_argument("--folder", type=Path, default=None, help="where there is room; default: the system's own")
    args = parser.parse_args()
    layer = sum(torch.Size(shape).numel() for shape in LAYER.values())
    ends = sum(torch.Size(shape).numel() for shape in ENDS.values())
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        size = write_checkpoint(Path(folder) / "large", args.layers)
        print(f"checkpoint: {args.layers} layers, {size / 1e9:.2f} GB in bfloat16", flush=True)
        data = ["--data", f"{folder}/data"]
        for command in (
            ["import", f"{folder}/large", *data],
            ["precompute", "large", "--matrices", args.matrices, *data],
        ):
            ran = run_limited([sys.executable, "-m", "app", *command], int(args.limit_gib * GIB))
            status, seconds, peak, kind = ran
            print(f"{command[0]}: exit status {status} after {seconds:.0f} s, under a {kind} of {args.limit_gib} GiB,")
            print(f"  peak memory {peak / GIB:.2f} GiB", flush=True)
    print(
        f"allowed for the import: embeddings + 4 layers in float32 + 1 GiB = {(4 * (ends + 4 * layer)) / GIB + 1:.2f} GiB"
    )


if __name__ == "__main__":
    main()
