"""What a page offers for sending, citing and checking it. The Python that a page shows is run."""

import ast
import contextlib
import html
import io
import re
import shutil
import time

import pytest

DIRECTIONS = ["L1/H2/ov/svd/0", "L1/H2/ov/svd/3", "L1/H2/qk/svd/1", "L1/mlp-in/svd/2", "L1/mlp-out/svd/1"]
DIRECTIONS += ["embed/svd/3", "unembed/svd/1", "pos/svd/2"]


def block(page, id_):
    return html.unescape(re.search(rf'<pre tabindex="0" id="{id_}">(.*?)</pre>', page, re.S)[1])


def run(script):
    """What the script prints, as {first words: the rest of the line, read as Python}."""
    import torch

    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            exec(compile(script, "reproduce", "exec"), {})
    finally:
        torch.set_grad_enabled(True)
    lines = (re.fullmatch(r"(singular value|\w+) (.*)", line) for line in out.getvalue().splitlines())
    return {line[1]: ast.literal_eval(line[2]) for line in lines}


def check(client, path, tokens_of, script=lambda text: text):
    while (page := client.get(path)).status_code == 202:  # what takes long goes on while somebody asks for it
        time.sleep(0.05)
    printed = run(script(block(page.text, "reproduce")))
    json = client.get("/api/v1" + path).json()
    assert printed["singular value"] == pytest.approx(json["singular_value"], rel=1e-5)
    for side in (json["left"], json["right"]):
        ids = [token["id"] for token in side["plus"][:10]]
        assert printed[side["side"]] == (ids if side["side"] in {"neuron", "position"} else tokens_of(ids))


@pytest.mark.parametrize(
    ("direction", "weights"),
    # The model is tied: its unembedding as stored is its embedding.
    [(place, how) for place in DIRECTIONS for how in ("folded", "raw") if (place, how) != ("unembed/svd/1", "raw")],
)
def test_the_python_of_a_page_prints_what_the_page_shows(client, gpt2_folder, direction, weights):
    from transformers import AutoTokenizer

    check(
        client,
        f"/tiny/{direction}?weights={weights}",
        AutoTokenizer.from_pretrained(gpt2_folder).convert_ids_to_tokens,
        lambda text: text.replace("path/to/the/folder", str(gpt2_folder)),
    )


def test_the_python_of_the_demo_runs_as_it_stands(serve, demo_data, tmp_path):
    from transformers import AutoTokenizer

    from app.models.demo import FOLDER

    client = serve(shutil.copytree(demo_data, tmp_path / "data"), "demo")
    check(client, "/demo/L2/H1/ov/svd/0", AutoTokenizer.from_pretrained(FOLDER).convert_ids_to_tokens)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_it_is_short(client, direction):
    lines = block(client.get(f"/tiny/{direction}").text, "reproduce").strip().splitlines()
    assert len(lines) <= 20
    assert max(map(len, lines)) <= 120


def test_the_citation_names_the_weights(client, pin):
    entry = block(client.get("/tiny/L1/H2/ov/svd/0").text, "cite")
    fingerprint = client.get("/api/v1/tiny").json()["model"]["fingerprint"]
    assert fingerprint in entry
    assert f"http://testserver/tiny@{pin}/L1/H2/ov/svd/0?weights=folded" in entry
    assert entry.count("{") == entry.count("}")
    assert entry.startswith("@misc{singular-lens:tiny:L1H2-OV-0,")


@pytest.mark.parametrize(("under", "said"), [("", ""), ("/blind", ", blind round"), ("/census", ", census")])
def test_the_citation_of_a_page_of_the_whole_model_says_nothing_twice(client, under, said):
    name = client.get("/api/v1/tiny").json()["model"]["name"]
    first, title, *_ = block(client.get(f"/tiny{under}").text, "cite").strip().splitlines()
    assert first == f"@misc{{singular-lens:tiny{under.replace('/', ':')},"
    assert f"{{{name}{said}, folded weights}}" in title


@pytest.mark.parametrize(
    "place", ["", "/L1", "/L1/H2?sort=gap&page=1&find=the", "/L1/H2/qk?weights=raw", "?score=qk-top"]
)
def test_the_link_to_send_shows_the_same_page(client, place):
    page = client.get(f"/tiny{place}").text
    link = html.unescape(re.search(r'<input id="link" value="([^"]*)"', page)[1])
    there = client.get(link.removeprefix("http://testserver"))
    assert there.status_code == 200
    assert html.unescape(re.search(r'<input id="link" value="([^"]*)"', there.text)[1]) == link
    assert block(there.text, "cite") == block(page, "cite")
