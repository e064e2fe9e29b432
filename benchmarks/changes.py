"""A changed prompt beside the library's own passes: the table of next tokens with its controls, and how the text goes on.

    python -m benchmarks.changes DATA [--model smollm2] [--pairs 7]

DATA: a data folder with the model, its heads computed. The passes of each pair are made one after the other, which goes
first changing, on texts that the last pass did not have; the first token's time is that of a server in a process of its own.
"""

import argparse
import itertools
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from app.core.steps import run
from app.explorer import recipes
from app.explorer.changes import HeadEdit
from app.explorer.library import Library
from app.explorer.making.using import changes
from app.explorer.making.using.prompts import open_prompt_maker
from app.models.catalog import Catalog
from app.models.live.assembly import assemble_model
from app.models.live.forward import run_model
from app.store.prompts import PromptStore
from benchmarks.prompts import fetch, in_ms, ratio, serve, time_pairs

N_TOKENS, DRAWS, MORE = 64, 8, 32
LAYERS = (0, 12, 25)


def main() -> None:
    """Print one table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("data", type=Path)
    options.add_argument("--model", default="smollm2")
    options.add_argument("--pairs", type=int, default=7)
    chosen = options.parse_args()
    of_all = (chosen.data, chosen.model, chosen.pairs)
    rows = itertools.chain(measure_first_token(*of_all), measure_passes(*of_all))
    print("| what | measured |\n|---|---|")
    for what, figure in rows:
        print(f"| {what} | {figure} |", flush=True)


def measure_passes(data: Path, slug: str, pairs: int) -> Iterator[tuple[str, str]]:
    """Measure tables and continuations, each beside what the library alone takes for as many rows."""
    model = Library(Catalog(data)).model(slug)
    assert model is not None
    network: Any = assemble_model(model.weights(), model.manifest)
    generator = torch.Generator().manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        store = PromptStore(Path(folder))
        maker = open_prompt_maker(data, "cpu", store)
        texts: dict[tuple[int, ...], Any] = {}

        def draw() -> list[int]:
            """Draw a text and run it: its page has been open before anything is changed."""
            ids: list[int] = torch.randint(
                0, model.vocabulary.lookup.largest, (N_TOKENS,), generator=generator
            ).tolist()
            key = store.put(model.fingerprint, ids, None)
            run(maker.make(recipes.prompt(model, key, "folded", N_TOKENS - 1, None, None), slug))
            texts.clear()
            texts[tuple(ids)] = run_model(network, torch.tensor(ids))
            return ids

        for layer in LAYERS:
            edits = [HeadEdit(layer, 3, 0, "scale", -1.0)]

            def change(ids: list[int], edits: list[HeadEdit] = edits) -> None:
                key = store.put(model.fingerprint, ids, None)
                run(maker.make(recipes.outcome(model, key, "folded", N_TOKENS - 1, edits, (), None, DRAWS), slug))

            def pass_rows(ids: list[int], layer: int = layer) -> None:
                _run_from(network, layer, texts[tuple(ids)].streams[layer].expand(DRAWS + 2, -1, -1))

            own, plain = time_pairs(pairs, change, pass_rows, draw)
            yield (
                f"next tokens without a direction of layer {layer}, beside {DRAWS} random ones, {N_TOKENS} tokens",
                f"{in_ms(own)}; the library's own forward of those {DRAWS + 2} rows from that layer on {in_ms(plain)}; "
                f"{ratio(own, plain)}",
            )
        yield from _measure_continuation(model, network, maker, store, slug, draw, pairs)


def _measure_continuation(
    model: Any, network: Any, maker: Any, store: PromptStore, slug: str, draw: Any, pairs: int
) -> Iterator[tuple[str, str]]:
    edits = [HeadEdit(12, 3, 0, "scale", 3.0)]
    network.generation_config.eos_token_id = None

    def go_on(ids: list[int]) -> None:
        key = store.put(model.fingerprint, ids, None)
        run(maker.make(recipes.continuation(model, key, "folded", edits, None, MORE, None), slug))

    for n_rows, name in ((2, "two rows"), (1, "one row")):

        def generate(ids: list[int], n_rows: int = n_rows) -> None:
            rows = torch.tensor([ids] * n_rows)
            asked = {"max_new_tokens": MORE, "min_new_tokens": MORE, "do_sample": False, "pad_token_id": 0}
            with torch.no_grad():
                network.generate(rows, attention_mask=torch.ones_like(rows), **asked)

        ends, changes._list_ends = changes._list_ends, lambda network: set()
        try:
            own, plain = time_pairs(pairs, go_on, generate, draw)
        finally:
            changes._list_ends = ends
        speeds = [MORE / statistics.median(each) for each in (own, plain)]
        yield (
            f"{MORE} tokens as it is and edited from layer 12 on, both together, their perplexities included",
            f"{speeds[0]:.1f} tokens a second each; generate of the library, {name}: {speeds[1]:.1f}; "
            f"{statistics.median(b / a for a, b in zip(own, plain, strict=True)):.2f} times as fast, median of {len(own)} pairs",
        )


def measure_first_token(data: Path, slug: str, pairs: int) -> Iterator[tuple[str, str]]:
    """Measure how long a visitor waits for the first token of a stream, on a prompt whose page is open."""
    model = Library(Catalog(data)).model(slug)
    assert model is not None
    generator = torch.Generator()
    generator.seed()
    times = []
    with serve(data, slug) as (base, _):
        for n in range(pairs + 1):
            ids = torch.randint(0, model.vocabulary.lookup.largest, (N_TOKENS,), generator=generator).tolist()
            _, prompt = fetch(f"{base}/{slug}/prompt?ids={'+'.join(map(str, ids))}&edit=L12H3.ov.0:3")
            started = time.perf_counter()
            with urllib.request.urlopen(f"{prompt.partition('?')[0]}/continuation?edit=L12H3.ov.0:3&more=16") as stream:
                for line in stream:
                    if b"<mark>" in line or (b"<bdi>" in line and b"<bdi></bdi>" not in line):
                        break
            times += [time.perf_counter() - started] if n else []
    yield f"first streamed token, a prompt of {N_TOKENS} tokens edited from layer 12 on", in_ms(times)


def _run_from(network: Any, layer: int, rows: torch.Tensor) -> None:
    """Run the library's own forward on the streams that enter a layer."""
    layers = network.model.layers
    network.model.layers, n_layers = nn.ModuleList(layers[layer:]), network.config.num_hidden_layers
    network.config.num_hidden_layers = n_layers - layer
    try:
        with torch.no_grad():
            network(inputs_embeds=rows, use_cache=False)
    finally:
        network.model.layers, network.config.num_hidden_layers = layers, n_layers


if __name__ == "__main__":
    main()
