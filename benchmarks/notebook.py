"""The notebook that one would write instead: the model in memory, a head's dense SVD, top-k over the vocabulary.

A process that reads `layer head` lines and answers each with the seconds that OV took, and OV and QK together. The
lines of maths are those of the published notebooks (Millidge & Black 2022), through the library's present interface.
"""

import sys
import time
from pathlib import Path

import torch
from torch import Tensor

TOKENS = 50


def read_out(matrix: Tensor, W_left: Tensor, W_right: Tensor, rank: int, k: int = TOKENS) -> list[Tensor]:
    """Find the top and bottom tokens of both sides of the first `rank` directions."""
    U, _, Vh = torch.linalg.svd(matrix)
    sides = [U.T[:rank] @ W_left, Vh[:rank] @ W_right]
    return [scores.topk(k, largest=largest).indices for scores in sides for largest in (True, False)]


def main(folder: str) -> None:
    """Load the model, then answer until standard input ends."""
    from transformer_lens.model_bridge import TransformerBridge
    from transformers import GPT2LMHeadModel

    started = time.perf_counter()
    network = GPT2LMHeadModel.from_pretrained(folder, attn_implementation="eager")
    bridge = TransformerBridge.boot_transformers(folder, hf_model=network, device="cpu")
    print(time.perf_counter() - started, _read_resident_mib(), flush=True)
    W_E, W_U = bridge.W_E.detach(), bridge.W_U.detach()
    with torch.no_grad():
        for line in sys.stdin:
            layer, head = map(int, line.split())
            attention = bridge.blocks[layer].attn
            started = time.perf_counter()
            W_V, W_O = attention.W_V[head], attention.W_O[head]
            read_out(W_V @ W_O, W_E.T, W_U, W_V.shape[1])
            ov_seconds = time.perf_counter() - started
            W_Q, W_K = attention.W_Q[head], attention.W_K[head]
            read_out(W_Q @ W_K.T, W_E.T, W_E.T, W_Q.shape[1])
            print(ov_seconds, time.perf_counter() - started, _read_resident_mib(), flush=True)


def _read_resident_mib() -> float:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


if __name__ == "__main__":
    main(sys.argv[1])
