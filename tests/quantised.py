"""A helper that marks imported models as quantised copies, as those out of GGUF files are."""

from dataclasses import replace
from pathlib import Path

from app.models.manifest import Quantisation, read_manifest, write_manifest
from app.models.weights import open_weights

MATRICES = ("attn.W_Q", "attn.W_K", "attn.W_V", "attn.W_O", "mlp.W_in", "mlp.W_gate", "mlp.W_out")


def mark_quantised(data: Path, size: float, uneven: tuple[str, ...] = ()) -> Path:
    """Write step sizes, relative to each matrix's numbers, into the manifests of a data folder; return the folder.

    The `uneven` matrices get none, as where levels are unevenly spaced.
    """
    for file in (data / "weights").glob("*/manifest.json"):
        manifest = read_manifest(file.parent)
        weights = open_weights(file.parent, manifest)
        ends = weights.embeddings()
        found = {"embed.W_E": ends.W_E, "unembed.W_U": ends.W_U, "pos_embed.W_pos": weights.positions()}
        tensors = {name: W[None] for name, W in found.items() if W is not None and not (manifest.tied and "_U" in name)}
        for layer in range(manifest.n_layers):
            for name, W in weights.layer(layer).items():
                if name.endswith(MATRICES):
                    tensors[name] = W if ".attn." in name else W[None]
        steps = {
            name: [size * float(part.square().mean().sqrt()) for part in W]
            for name, W in tensors.items()
            if not name.endswith(uneven or "-")
        }
        write_manifest(file.parent, replace(manifest, quantisation=Quantisation("Q4_1", 4, steps)))
    return data
