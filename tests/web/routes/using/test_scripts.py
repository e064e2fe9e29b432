"""The Python that pages of changes offer is run as it stands, and prints what they show."""

import ast
import contextlib
import io
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from app.explorer import recipes
from app.models.live.expressions import EXPRESSIONS
from app.models.live.families import ARCHITECTURES
from tests.answers import ask
from tests.models.live.test_assembly import RUN

ORIGIN = {"Origin": "http://testserver"}
IDS = "5 17 3 40 22 8 61"
OTHERS = ("9 30 12 44", "70 2 51 33 18")
EDITS = "L1H2.ov.3:-1,L1H2.ov.1:2,L0H1.ov.0n:-0.5"


@pytest.fixture(scope="module")
def reader(serve, member, tmp_path_factory):
    """A visitor of a server that runs prompts of every family that is run."""
    (data,) = {member(name).data for name in RUN}
    return serve(shutil.copytree(data, tmp_path_factory.mktemp("scripts") / "data"), *RUN, prompts="public")


def keep(reader, name, ids):
    answer = reader.post(f"/{name}/prompt", data={"ids": ids}, headers=ORIGIN)
    assert answer.status_code == 303, answer.text[:300]
    return answer.headers["location"].rpartition("/")[2]


def run(script, folder):
    """Run a script in this process, and return what it prints; `run_alone` runs one as a person does."""
    out, before = io.StringIO(), sys.argv
    sys.argv = ["script.py", str(folder)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            exec(compile(script, "script.py", "exec"), {})
    finally:
        sys.argv = before
        torch.set_grad_enabled(True)
    return out.getvalue()


def run_alone(script, folder, tmp_path):
    file = tmp_path / "script.py"
    file.write_text(script, encoding="ascii")
    done = subprocess.run([sys.executable, file, folder], capture_output=True, text=True, check=True, cwd=tmp_path)
    return done.stdout


def read(printed):
    """Read what is printed of each prompt, and the means: numbers by name, with those at random; and the likeliest tokens."""
    found = []
    for line in printed.splitlines():
        if not line.startswith("    "):
            found.append(({}, []))
            continue
        row, best = found[-1]
        if tokens := re.fullmatch("    next +(.+) -> (.+)", line):
            best += [ast.literal_eval(token) for token in tokens.groups()]
        else:
            name, value, random = re.fullmatch("    (.+?)  +([^ ]+) *(?:at random (.*))?", line).groups()
            row[name] = float(value), [float(one) for one in (random or "").split()]
    return found


def scripted(reader, folder, path, **options):
    answer = ask(reader, f"{path}/script", params=options)
    assert answer.status_code == 200, answer.text[:500]
    assert answer.headers["content-type"] == "text/x-python; charset=utf-8"
    assert answer.headers["content-disposition"].endswith('.py"')
    return answer.text, read(run(answer.text, folder))


def check_likeliest(best, page):
    tokens = page["next"]
    for said, when in zip(best, ("before", "after"), strict=True):
        assert said == max(tokens, key=lambda token: token[when])["token"]


CLOSE = {"rel": 2e-3, "abs": 1e-7}


@pytest.mark.parametrize("weights", ["folded", "raw"])
@pytest.mark.parametrize("name", RUN)
def test_edits_and_pushes(reader, member, name, weights):
    folder, key = member(name).folder, keep(reader, name, IDS)
    asked = {"edit": EDITS, "random": 8, "weights": weights, "at": 4}
    page = ask(reader, f"/api/v1/{name}/p/{key}/edit", params=asked).json()
    _, ((told, best),) = scripted(reader, folder, f"/{name}/p/{key}/edit", **asked)
    assert told["KL"][0] == pytest.approx(page["divergence"], **CLOSE)
    assert told["KL"][1] == pytest.approx(page["random"], **CLOSE)
    own = page["edits"][0]
    assert told["times"][0] == pytest.approx(own["after"] / own["before"], rel=1e-3)
    assert told["times"][1] == pytest.approx([value / own["before"] for value in own["random"]], rel=1e-3)
    check_likeliest(best, page)
    asked = {"of": "L0H2.ov.1n", "c": 0.6, "layer": 1, "weights": weights, "random": 8}
    page = ask(reader, f"/api/v1/{name}/p/{key}/steer", params=asked).json()
    _, ((told, best),) = scripted(reader, folder, f"/{name}/p/{key}/steer", **asked)
    assert told["KL"][0] == pytest.approx(page["divergence"], **CLOSE)
    assert told["KL"][1] == pytest.approx(page["random"], **CLOSE)
    assert told["times"][0] == pytest.approx(page["direction"]["after"] / page["direction"]["before"], rel=1e-3)
    check_likeliest(best, page)


@pytest.mark.parametrize("rule", ["fixed", "published", "last", "front"])
def test_each_rule_of_sara(reader, member, rule):
    name = "gpt2" if "gpt2" in RUN else RUN[0]
    key, (attract, repel) = keep(reader, name, IDS), (keep(reader, name, ids) for ids in OTHERS)
    asked = {"attract": attract, "repel": repel, "rule": rule, "pull": 1.5, "layer": 1, "random": 8}
    page = ask(reader, f"/api/v1/{name}/p/{key}/sara", params=asked).json()
    _, ((told, best),) = scripted(reader, member(name).folder, f"/{name}/p/{key}/sara", **asked)
    assert told["KL"][0] == pytest.approx(page["divergence"], **CLOSE)
    assert told["KL"][1] == pytest.approx(page["random"], **CLOSE)
    odds = page["odds"]
    assert told["gained"][0] == pytest.approx(odds["after"] - odds["before"], rel=1e-3, abs=1e-4)
    assert told["swapped"][0] == pytest.approx(odds["swapped"] - odds["before"], rel=1e-3, abs=1e-4)
    assert told["gained"][1] == pytest.approx([value - odds["before"] for value in odds["random"]], rel=1e-3, abs=1e-4)
    check_likeliest(best, page)


@pytest.mark.parametrize("name", ["gpt2", "qwen2"])
def test_means_and_lengths_of_the_reference_text(serve, member, tmp_path, name):
    """Both families have biases of values, and the one a norm with a shift; the numbers are any."""
    reader = serve(shutil.copytree(member(name).data, tmp_path / "data"), name, prompts="public")
    r = reader.app.state.resources
    model = r.library.model(name)
    shape = model.manifest.n_layers, model.manifest.n_heads, model.manifest.d_head
    mean = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    arrays = {"mean": mean, "spread": np.ones(shape, np.float32), "stream": np.full(shape[0], 0.3, np.float32)}
    r.store.write(recipes.use(model, "folded", 0), arrays | {"ids": np.full((4, 6), 7, np.int32)}, {})
    key = keep(reader, name, IDS)
    for last, asked in (
        ("edit", {"edit": "L1H2.ov.3:mean,L1H2.ov.0:2,L0H3.ov.1:mean", "random": 8}),
        ("steer", {"of": "L0H2.ov.1p", "c": 2, "layer": 1, "random": 8}),
    ):
        page = ask(reader, f"/api/v1/{name}/p/{key}/{last}", params=asked).json()
        assert page["divergence"] > 1e-5
        script, ((told, _),) = scripted(reader, member(name).folder, f"/{name}/p/{key}/{last}", **asked)
        assert told["KL"][0] == pytest.approx(page["divergence"], **CLOSE)
        assert told["KL"][1] == pytest.approx(page["random"], **CLOSE)
        assert last == "edit" or f"SIZE = 1, 2.0, {page['size']}" in script


def test_an_experiment_as_a_person_runs_it(serve, tiny_data, gpt2_folder, tmp_path):
    reader = serve(shutil.copytree(tiny_data, tmp_path / "data"), "tiny", prompts="public")
    lines = ["that in the sea", "so it is", "and then \"'\\ it", "in the"]
    fields = {"prompts": "\n".join(lines), "edit": "L1H2.ov.3:only", "random": "8"}
    place = reader.post("/tiny/x", data=fields, headers=ORIGIN).headers["location"]
    page = ask(reader, f"/api/v1{place}").json()
    script = ask(reader, f"{place}/script")
    assert script.status_code == 200
    printed = run_alone(script.text, gpt2_folder, tmp_path)
    *rows, (means, _) = read(printed)
    assert len(rows) == len(page["trials"]) == 4
    for (told, best), trial in zip(rows, page["trials"], strict=True):
        assert told["KL"][0] == pytest.approx(trial["divergence"], **CLOSE)
        assert told["KL"][1] == pytest.approx(trial["random"], **CLOSE)
        assert told["times"][0] == pytest.approx(trial["factor"], rel=1e-3)
        assert best == [trial["before"]["token"], trial["after"]["token"]]
    assert printed.splitlines()[-3] == "means over 4 prompts"
    assert means["KL"][0] == pytest.approx(page["divergence"]["value"], **CLOSE)
    assert means["KL"][1] == [pytest.approx(np.mean(page["random"]), **CLOSE)]
    assert means["log times"][0] == pytest.approx(page["log_factor"]["value"], rel=2e-3, abs=1e-4)
    assert means["log times"][1] == [pytest.approx(np.mean(page["random_log_factor"]), rel=2e-3, abs=1e-4)]


def test_without_a_checkpoint_it_says_what_it_needs(reader, tmp_path):
    key = keep(reader, RUN[0], IDS)
    script = ask(reader, f"/{RUN[0]}/p/{key}/edit/script", params={"edit": "L1H2.ov.3:-1"}).text
    file = tmp_path / "script.py"
    file.write_text(script, encoding="ascii")
    for path in ([], ["no/such/folder"]):
        done = subprocess.run([sys.executable, file, *path], capture_output=True, text=True, check=False, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr.startswith("usage: python")


def test_every_family_that_is_run_has_expressions():
    assert set(EXPRESSIONS) == set(ARCHITECTURES)
