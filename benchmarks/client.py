"""A head into pandas: the client, beside what one would write instead.

`python -m benchmarks.client` serves the demo, or `--model smollm2` out of `--data DIR`, computes one head, and takes turns:
each way makes a table of one head's OV, in a process that has the libraries loaded and a connection open; one takes both
of its matrices. What is asked for
is kept by the server after the first time, so `--fresh` asks for another head each time, all of them computed before.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pandas

from app.client import Lens
from benchmarks.server import Server, run_server

Way = Callable[[str], pandas.DataFrame]


def split_tokens(joined: str) -> list[str]:
    """Split JSON strings with spaces between them, as the CSV has them."""
    found, at = [], 0
    while at < len(joined):
        token, at = json.JSONDecoder().raw_decode(joined, at)
        found.append(token)
        at += 1
    return found


def make_ways(base: str) -> tuple[Lens, dict[str, Way]]:
    """Make the ways to a table of one matrix."""
    lens, client = Lens(base), httpx.Client(base_url=base)

    def by_hand(address: str) -> pandas.DataFrame:
        """The first page of the table, out of the JSON."""
        page = client.get(f"/api/v1/{address}").json()
        rows = [
            {
                "direction": one["address"],
                "singular_value": one["singular_value"],
                "side": one[side]["side"],
                "z": one[side]["rays"]["plus"]["z"] if one[side]["rays"] else None,
                "plus": [token["token"] for token in one[side]["plus"]],
                "minus": [token["token"] for token in one[side]["minus"]],
            }
            for one in page["directions"]
            for side in ("left", "right")
        ]
        return pandas.DataFrame(rows)

    def by_csv(address: str) -> pandas.DataFrame:
        """The whole table, tokens as they stand in the CSV."""
        return pandas.read_csv(f"{base}/{address}?format=csv")

    def by_csv_with_tokens(address: str) -> pandas.DataFrame:
        """The whole table, its tokens read."""
        read = {"plus": split_tokens, "minus": split_tokens}
        return pandas.read_csv(f"{base}/{address}?format=csv", converters=read)

    ways = {
        "client, lens[…].to_pandas()": lambda address: lens[address].to_pandas(),
        "client, lens.table(…).to_pandas()": lambda address: lens.table(address).to_pandas(),
        "client, both matrices of the head": lambda address: lens[address.removesuffix("/ov")].to_pandas(),
        "httpx, JSON, DataFrame by hand (first page of the table)": by_hand,
        "pandas.read_csv, tokens not read": by_csv,
        "pandas.read_csv, tokens read": by_csv_with_tokens,
    }
    return lens, ways


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--fresh", action="store_true")
    said = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = said.data or Path(folder)
        with run_server(said.model, data=data, precompute="false") as server:
            measure(server, said.model, said.rounds, said.fresh)


def measure(server: Server, model: str, rounds: int, fresh: bool) -> None:
    """Take turns, and print the median seconds of each way, and their ratio to the client's."""
    lens, ways = make_ways(f"http://127.0.0.1:{server.port}")
    with lens:
        facts = lens.get(model).model
        places = [(layer, head) for layer in range(facts["n_layers"]) for head in range(facts["n_heads"])]
        wanted = rounds * len(ways) if fresh else 1
        addresses = [f"{model}/L{layer}/H{head}/ov" for layer, head in places[-wanted:]]
        for address in addresses:
            server.ready(f"/{address.removesuffix('/ov')}")  # its page: neither its JSON nor its table is kept yet
        if fresh:
            rounds = len(addresses) // len(ways)
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        for way in ways.values() if not fresh else ():
            way(addresses[0])
        for turn in range(rounds):
            for number, (name, way) in enumerate(ways.items()):
                address = addresses[(turn * len(ways) + number) % len(addresses)]
                started = time.perf_counter()
                way(address)
                seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(each) for name, each in seconds.items()}
    ours = next(iter(medians.values()))
    print(f"{model}, {rounds} rounds, {'each a head of its own' if fresh else 'one head'}\n")
    print("| a head's OV into pandas | median | longest | of the client's |\n|---|---|---|---|")
    for name, median in medians.items():
        longest = max(seconds[name])
        print(f"| {name} | {1000 * median:.1f} ms | {1000 * longest:.1f} ms | {median / ours:.2f} |")


if __name__ == "__main__":
    main()
