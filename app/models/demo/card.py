"""The demo model's card: its figures in words. Knows nothing of how they were measured."""

from dataclasses import dataclass

from app.models.demo.network import Size


@dataclass(frozen=True)
class Figures:
    """Figures that one training run measured of itself."""

    size: Size
    tokens_seen: int
    """Tokens trained on, repeats counted."""
    bits_per_byte: float
    """On the held-out file, from the exported float16 weights."""
    hours: float
    """Wall time of the whole command."""
    threads: int
    machine: str
    samples: list[tuple[str, str]]
    """(prompt, continuation)."""


CARD = """---
license: cc-by-sa-4.0
language: en
library_name: transformers
pipeline_tag: text-generation
---

# singular-lens demo

A small English language model with the architecture of GPT-2, made so that singular-lens has something real to show
without a download. It is for looking inside, not for use: it writes fluent nonsense.

| | |
|---|---|
| layers x heads | {layers} x {heads} |
| d_model, d_head | {d_model}, {d_head} |
| tokens in the vocabulary | {d_vocab:,} (Unigram over BPE pieces, bytes for rare characters) |
| context | {n_ctx} tokens |
| trained on | {tokens:.1f}M tokens |
| held out | **{bpb:.3f} bits per byte** (float16 weights, windows of {n_ctx} tokens without overlap) |
| time | {hours:.2f} hours with {threads} thread{s}, {machine} |

Made by `python -m app.models.demo.train --corpus DIR --threads {threads}` (seed 0), which also wrote this card.

## Samples

Temperature 0.8, top 40 tokens, seed 0; the prompt is in bold.

{samples}

## Data

About 109 MB of English text, 4,314 documents, told apart by source:

| source | licence, attribution |
|---|---|
| Project Gutenberg: 35 novels and tales, 46 works of history, science, law, cookery and reference | public domain in the USA |
| King James Bible (text from github.com/aruljohn/Bible-kjv) | public domain |
| CIA World Factbook (github.com/factbook/factbook.json) | public domain |
| English Wikipedia, opening sections, dump of July 2019 (github.com/chinapedia/wikipedia.abstract.en) | by the Wikipedia contributors, [CC BY-SA 3.0](https://creativecommons.org/licenses/by-sa/3.0/) |
| Digital.gov, U.S. General Services Administration (github.com/GSA/digitalgov.gov) | public domain / CC0 1.0 |
| based.cooking (github.com/LukeSmithxyz/based.cooking) | public domain (Unlicense) |
| Python documentation (github.com/python/python-docs-tr) | copyright 2001-2024 Python Software Foundation, all rights reserved; [PSF License](https://docs.python.org/3/license.html) |
| Python Enhancement Proposals in the public domain or under CC0 (github.com/python/peps) | public domain / CC0 1.0 |
| The Rust Programming Language and Rust RFCs (github.com/rust-lang/book, rust-lang/rfcs) | copyright the Rust Project Developers, [Apache-2.0](https://www.apache.org/licenses/LICENSE-2.0) or [MIT](https://opensource.org/licenses/MIT) |
| Go blog and documentation (github.com/golang/website) | copyright The Go Authors, [CC BY 4.0](https://creativecommons.org/licenses/by/4.0/) |
| Dive into Deep Learning (github.com/d2l-ai/d2l-en) | copyright 2019 Amazon.com, Inc. or its affiliates; by Aston Zhang, Zachary C. Lipton, Mu Li, Alexander J. Smola and others, [CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/) |

The text of every source was shortened and reformatted, which is a change to the original works; code blocks of the
technical sources were left out. Because part of the text is under CC BY-SA, the weights are offered under
[CC BY-SA 4.0](https://creativecommons.org/licenses/by-sa/4.0/) with the attributions above.
"""


def model_card(figures: Figures) -> str:
    """Format the card as Markdown."""
    size = figures.size
    return CARD.format(
        layers=size.n_layers,
        heads=size.n_heads,
        d_model=size.d_model,
        d_head=size.d_model // size.n_heads,
        d_vocab=size.d_vocab,
        n_ctx=size.n_ctx,
        tokens=figures.tokens_seen / 1e6,
        bpb=figures.bits_per_byte,
        hours=figures.hours,
        threads=figures.threads,
        s="" if figures.threads == 1 else "s",
        machine=figures.machine,
        samples="\n\n".join(f"> **{prompt}**{_quote(text)}" for prompt, text in figures.samples),
    )


def _quote(text: str) -> str:
    return "\n> ".join(text.replace("<|endoftext|>", "").rstrip().split("\n"))
