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

from app.core.address import CIRCUITS, LAYER_KINDS, MODEL_KINDS
from app.models.importing.published import SMOLLM2
from app.models.token_filter import TokenFilter
from app.web.view.reproduction import script_of as template_of
from app.web.view.reproduction import why_not_reproduced
from tests.pages import DIRECTION_PAGE, MODEL

CASES = {
    "llama": ("ov", "qk", "mlp-in", "mlp-gate", "mlp-gate?weights=raw", "mlp-out", "embed", "unembed?weights=raw"),
    "neox": ("ov", "qk?distance=5", "mlp-in", "mlp-out", "unembed"),
    "llama-yarn": ("qk", "qk?distance=5&weights=raw"),
    "gemma2": ("ov", "mlp-gate", "mlp-out", "mlp-out?weights=raw", "unembed"),
    "olmo2": ("ov", "qk?weights=raw", "mlp-in", "mlp-out"),
    "gptj": ("qk", "mlp-in"),
    "gpt-oss": ("ov", "unembed"),
    "bert": ("ov", "mlp-in", "mlp-out", "embed", "pos"),
}
NORMED = ("qk", "mlp-out", "embed")
"""Of a model whose embedding stands behind a norm."""
RUN = {
    "llama": ("ov", "mlp-gate", "unembed?weights=raw"),
    "neox": ("qk?distance=5", "mlp-in"),
    "llama-yarn": ("qk",),
    "gemma2": ("ov", "mlp-out", "unembed"),
    "olmo2": ("mlp-out",),
    "gptj": ("qk",),
    "gpt-oss": ("unembed",),
    "bert": ("ov", "pos"),
    "bloom": ("embed",),
}
"""Of these, those that are run whenever the tests are: each template and each kind of norm once. A run opens a model."""
SIDES = "read|write|query|key|token|neuron|position"
KINDS = (*CIRCUITS, *LAYER_KINDS, *(kind for kind in MODEL_KINDS if not kind.startswith("heads")))


def path_of(family, case):
    kind, _, query = case.partition("?")
    place = f"L1/H3/{kind}" if kind in CIRCUITS else f"L1/{kind}" if kind in LAYER_KINDS else kind
    return f"/{family}/{place}/svd/1" + (f"?{query}" if query else "")


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
    lines = (re.fullmatch(rf"(singular value|{SIDES}) (.*)", line) for line in out.getvalue().splitlines())
    return {line[1]: ast.literal_eval(line[2]) for line in lines if line}


def folder_of(family, member, tmp_path):
    """The checkpoint as a publisher leaves it: saying which class its tokenizer is, which transformers wants."""
    folder = shutil.copytree(member(family).folder, tmp_path / family)
    words = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "[PAD]" if family == "bert" else None}
    (folder / "tokenizer_config.json").write_text(json.dumps({key: word for key, word in words.items() if word}))
    return folder


def check(relatives, member, tmp_path, family, case, is_run=True):
    from tokenizers import Tokenizer

    path = path_of(family, case)
    script = script_of(relatives.get(path).text)
    assert max(map(len, script.splitlines())) <= 120
    assert len(script.strip().splitlines()) <= 32
    ast.parse(script)
    if not is_run:
        return
    folder = tmp_path / family if (tmp_path / family).exists() else folder_of(family, member, tmp_path)
    printed = printed_by(script.replace("/path/to/the/folder", str(folder)))
    page = relatives.get(f"/api/v1{path}").json()
    token = Tokenizer.from_file(str(folder / "tokenizer.json")).id_to_token
    assert printed["singular value"] == pytest.approx(page["singular_value"], rel=1e-5)
    for side in (page["left"], page["right"]):
        ids = [one["id"] for one in side["plus"][:10]]
        expected = ids if side["side"] in {"neuron", "position"} else [token(id_) for id_ in ids]
        assert printed.pop(side["side"]) == expected
    assert set(printed) == {"singular value"}


@pytest.mark.parametrize(("family", "case"), [(family, case) for family, cases in CASES.items() for case in cases])
@pytest.mark.filterwarnings("ignore")  # the libraries' own, where they are used as people use them
def test_the_python_of_a_family_prints_what_its_page_shows(relatives, member, tmp_path, family, case, long):
    check(relatives, member, tmp_path, family, case, is_run=long or case in RUN[family])


@pytest.mark.parametrize("case", NORMED)
@pytest.mark.filterwarnings("ignore")
def test_a_norm_behind_the_embedding_is_applied(serve, member, tmp_path, case, long):
    client = serve(shutil.copytree(member("bloom").data, tmp_path / "data"), "bloom")
    check(client, member, tmp_path, "bloom", case, is_run=long or case in RUN["bloom"])


@pytest.mark.filterwarnings("ignore")
def test_every_family_has_python_and_with_long_it_is_run(relatives, member, families, tmp_path, long):
    for family in families if long else families[1::4]:
        if member(family).name == "gpt2":
            continue  # read with transformers alone: test_share.py
        facts = relatives.get(f"/api/v1/{family}").json()["model"]
        queries = [f"weights={weights}" for weights in facts["processings"]]
        cases = [f"{kind}?{query}" for kind in KINDS for query in queries]
        cases += [f"{case}&distance=7" for case in cases if case[:2] in CIRCUITS and facts["positions"] == "rotary"]
        for case in cases:
            page = relatives.get(path_of(family, case))
            if page.status_code == 200 and script_of(page.text):
                check(relatives, member, tmp_path, family, case, is_run=long)


def test_a_model_of_the_hub_is_named_with_its_revision(client):
    page = replace(DIRECTION_PAGE, model=replace(MODEL, architecture="LlamaForCausalLM"))
    text = client.app.state.site.templates.get_template(template_of(page)).render(page=page)
    ast.parse(text)
    assert f'name, revision = "{MODEL.source}", "{MODEL.revision}"' in text
    assert text.count("(name, revision=revision") == 2


@pytest.mark.parametrize("source", ["local file", SMOLLM2.origin])
def test_weights_out_of_a_gguf_file_are_not_taken_for_a_model_of_the_hub(source):
    page = replace(DIRECTION_PAGE, model=replace(MODEL, source=source, revision=None))
    assert "out of a GGUF file" in why_not_reproduced(page)
    for other in ("demo", "local folder"):
        assert why_not_reproduced(replace(page, model=replace(MODEL, source=other, revision=None))) == ""
    assert why_not_reproduced(DIRECTION_PAGE) == ""
    cosine = replace(DIRECTION_PAGE.view, token_filter=TokenFilter(readout="cosine"))
    assert "only for dot products" in why_not_reproduced(replace(DIRECTION_PAGE, view=cosine))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (path_of("qwen3", "qk"), "norms queries and keys"),
        (path_of("gptj", "qk?distance=3"), "at a distance"),
        (path_of("gptj", "qk?distance=3&weights=raw"), "at a distance"),
        ("/neox/L1/mlp-in/pca/1?weights=raw", "pca, only for svd: singular-lens precompute neox --matrices L1/mlp-in"),
        ("/neox/L1/mlp-in/pca/1?weights=raw", "--weights raw --basis pca computes the same terms"),
        ("/neox/embed/frequency/1?groups=5", "--weights folded --basis frequency --groups 5 computes"),
        (path_of("neox", "ov?ascii=1"), "some of the tokens"),
        ("/neox/heads/read/svd/1", "take the OV of every head: singular-lens precompute neox --matrices heads/read"),
    ],
)
def test_where_no_python_is_offered_the_page_says_so(relatives, path, said):
    page = relatives.get(path).text
    assert script_of(page) is None
    assert said in html.unescape(page)
    assert "No lines are offered" in page
