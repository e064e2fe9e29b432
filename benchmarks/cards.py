"""Cards of links: what one takes beside the page that it is of, how large it is, and a contact sheet in twelve scripts.

    python -m benchmarks.cards DATA [--model smollm2] [--cards 60] [--sheet sheet.png]

DATA: a data folder with the model, its heads computed. Pages and cards are asked of a server in a process of its own, one after
the other, none twice.
"""

import argparse
import random
import statistics
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from app.models.catalog import Catalog
from app.web.pictures.card import Card, CardRow
from app.web.pictures.drawing import draw_png, open_lettering
from app.web.view.assets import load_assets
from app.web.view.templating import make_environment
from benchmarks.prompts import fetch, serve

ROOT = Path(__file__).parents[1]
SCRIPTS = {
    "Latin": ("naïve", "Œuvre", "straße", "smørrebrød"),
    "Vietnamese": ("tiếng", "Việt", "người", "được"),
    "Greek": ("κόσμος", "ψυχή", "θάλασσα"),
    "Cyrillic": ("привет", "Україна", "жизнь"),
    "Armenian": ("բարև", "Հայաստան", "սեր"),
    "Georgian": ("გამარჯობა", "საქართველო", "წიგნი"),
    "Hebrew": ("שלום", "ירושלים", "ספר"),
    "Arabic": ("السلام", "كتاب", "مدرسة"),
    "Devanagari": ("नमस्ते", "भारत", "पुस्तक"),
    "Bengali": ("নমস্কার", "বাংলা", "বই"),
    "Tamil": ("வணக்கம்", "தமிழ்", "நூல்"),
    "Thai": ("สวัสดี", "ภาษาไทย", "หนังสือ"),
    "none": ("中文", "한국어", "😀"),
}


def main() -> None:
    """Print one table; draw the contact sheet where it is asked for."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("data", type=Path)
    options.add_argument("--model", default="smollm2")
    options.add_argument("--cards", type=int, default=60)
    options.add_argument("--sheet", type=Path)
    chosen = options.parse_args()
    if chosen.sheet is not None:
        draw_sheets(chosen.sheet)
    print("| what | measured |\n|---|---|")
    for what, figure in measure_cards(chosen.data, chosen.model, chosen.cards):
        print(f"| {what} | {figure} |", flush=True)


def measure_cards(data: Path, slug: str, n: int) -> Iterator[tuple[str, str]]:
    """Measure cards of directions and heads beside their pages, and the cards' sizes."""
    manifest = Catalog(data).get(slug)
    draw = random.Random(0)
    places = [
        f"{slug}/L{draw.randrange(manifest.n_layers)}/H{draw.randrange(manifest.n_heads)}/ov/svd/{draw.randrange(8)}"
        for _ in range(n)
    ]
    heads = [f"{slug}/L{layer}/H0" for layer in range(manifest.n_layers)][:n]
    with serve(data, slug) as (address, _):
        for name, paths in (("direction", list(dict.fromkeys(places))), ("head", heads)):
            pages = [fetch(f"{address}/{path}")[0] for path in paths]
            timed = [_time_get(f"{address}/{path}/card.png") for path in paths]
            cards, sizes = [seconds for seconds, _ in timed], [size for _, size in timed]
            again = [_time_get(f"{address}/{path}/card.png")[0] for path in paths]
            told = f"{_ms(cards)}, the page before it {_ms(pages)}; kept {_ms(again)}"
            yield f"card of a {name}, {len(paths)} of them: p50 and p95", told
            yield (
                "its size: median and largest, KB",
                f"{statistics.median(sizes) / 1000:.0f} and {max(sizes) / 1000:.0f}",
            )


def draw_sheets(sheet: Path) -> None:
    """Draw tokens of twelve scripts, and of none that the fonts have, on as many cards as they need."""
    templates = make_environment(ROOT / "templates", load_assets(ROOT / "static"), "")
    open_lettering()
    names = list(SCRIPTS)
    for number, start in enumerate(range(0, len(names), 5)):
        rows = tuple(CardRow(name, SCRIPTS[name], "p") for name in names[start : start + 5])
        card = Card(kicker="contact sheet", title="Twelve scripts", subtitle="and what no font has", rows=rows)
        sheet.with_stem(f"{sheet.stem}-{number}").write_bytes(draw_png(templates, card))


def _time_get(url: str) -> tuple[float, int]:
    began = time.perf_counter()
    with urllib.request.urlopen(url) as answer:
        size = len(answer.read())
    return time.perf_counter() - began, size


def _ms(seconds: list[float]) -> str:
    return f"{1000 * statistics.median(seconds):.0f} and {1000 * statistics.quantiles(seconds, n=20)[-1]:.0f} ms"


if __name__ == "__main__":
    main()
