"""The Python that pages of other families offer is run, and prints what they show."""

import ast
import contextlib
import html
import io
import json
import re
import shutil
from dataclasses import replace

import pytest

from app.web.examples import DIRECTION_PAGE, MODEL
from app.web.reproduction import script_of as template_of

CASES = {
    "llama": ("ov", "qk"),
    "neox": ("ov", "qk?distance=5"),
    "llama-yarn": ("qk", "qk?distance=5&weights=raw"),
    "gemma2": ("ov",),
    "olmo2": ("ov", "qk?weights=raw"),
    "gptj": ("qk",),
    "gpt-oss": ("ov",),
    "bert": ("ov",),
}


def path_of(family, case):
    circuit, _, query = case.partition("?")
    return f"/{family}/L1/H3/{circuit}/svd/1" + (f"?{query}" if query else "")


def script_of(page):
    found = re.search(r'<pre tabindex="0" id="reproduce">(.*?)</pre>', page, re.S)
    return html.unescape(found[1]) if found else None


def printed_by(script):
    import torch

    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            exec(compile(script, "reproduce", "exec"), {})
    finally:
        torch.set_grad_enabled(True)
    lines = (re.fullmatch(r"(singular value|read|write|query|key) (.*)", line) for line in out.getvalue().splitlines())
    return {line[1]: ast.literal_eval(line[2]) for line in lines if line}


def folder_of(family, member, tmp_path):
    """The checkpoint as a publisher leaves it: saying which class its tokenizer is, which transformers wants."""
    folder = shutil.copytree(member(family).folder, tmp_path / family)
    words = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "[PAD]" if family == "bert" else None}
    (folder / "tokenizer_config.json").write_text(json.dumps({key: word for key, word in words.items() if word}))
    return folder


def check(relatives, member, tmp_path, family, case):
    from tokenizers import Tokenizer

    path = path_of(family, case)
    script = script_of(relatives.get(path).text)
    folder = tmp_path / family if (tmp_path / family).exists() else folder_of(family, member, tmp_path)
    printed = printed_by(script.replace("/path/to/the/folder", str(folder)))
    page = relatives.get(f"/api/v1{path}").json()
    token = Tokenizer.from_file(str(folder / "tokenizer.json")).id_to_token
    assert printed["singular value"] == pytest.approx(page["singular_value"], rel=1e-5)
    for side in (page["left"], page["right"]):
        assert printed[side["side"]] == [token(one["id"]) for one in side["plus"][:10]]
    assert max(map(len, script.splitlines())) <= 120
    assert len(script.strip().splitlines()) <= 32


@pytest.mark.parametrize(("family", "case"), [(family, case) for family, cases in CASES.items() for case in cases])
@pytest.mark.filterwarnings("ignore")  # the libraries' own, where they are used as people use them
def test_the_python_of_a_family_prints_what_its_page_shows(relatives, member, tmp_path, family, case):
    check(relatives, member, tmp_path, family, case)


@pytest.mark.filterwarnings("ignore")
def test_the_python_of_every_family_does_so_too(relatives, member, families, tmp_path, long):
    for family in families if long else families[1::4]:
        if member(family).name == "gpt2":
            continue  # read with transformers alone: test_share.py
        facts = relatives.get(f"/api/v1/{family}").json()["model"]
        queries = [f"weights={weights}" for weights in facts["processings"]]
        queries += [f"{query}&distance=7" for query in queries if facts["positions"] == "rotary"]
        for case in [f"{circuit}?{query}" for circuit in ("ov", "qk") for query in queries]:
            page = relatives.get(path_of(family, case))
            if page.status_code == 200 and script_of(page.text):
                check(relatives, member, tmp_path, family, case)


def test_a_model_of_the_hub_is_named_with_its_revision(client):
    page = replace(DIRECTION_PAGE, model=replace(MODEL, architecture="LlamaForCausalLM"))
    text = client.app.state.site.templates.get_template(template_of(page)).render(page=page)
    ast.parse(text)
    assert f'name, revision = "{MODEL.source}", "{MODEL.revision}"' in text
    assert text.count("(name, revision=revision") == 2


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (path_of("qwen3", "qk"), "norms queries and keys"),
        (path_of("gptj", "qk?distance=3"), "at a distance"),
        (path_of("gptj", "qk?distance=3&weights=raw"), "at a distance"),
    ],
)
def test_where_no_python_is_offered_the_page_says_so(relatives, path, said):
    page = relatives.get(path).text
    assert script_of(page) is None
    assert said in page
    assert "No lines are offered" in page
