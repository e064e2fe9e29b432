"""What directions do on text, as people and as programs read it."""

import re
import shutil

import pytest

from app.core.steps import run
from app.explorer import recipes
from app.explorer.making.make import MakerInputs, run_maker
from app.explorer.making.tables import Tables
from tests.answers import check_answer


@pytest.fixture(scope="module")
def used(serve, tiny_data, tmp_path_factory):
    """A visitor of a model whose statistics were computed, and their arrays."""
    client = serve(shutil.copytree(tiny_data, tmp_path_factory.mktemp("used") / "data"), "tiny")
    r = client.app.state.resources
    model = r.library.model("tiny")
    recipe = recipes.use(model, "folded")
    made = run(run_maker(recipe, MakerInputs(Tables("cpu"), model, r.store)))
    r.store.write(recipe, *made)
    return client, made[0]


def words_of(html):
    (said,) = re.findall(r'<p class="(?:note|legend-line) used">(.*?)</p>', html, re.DOTALL)
    return re.sub(r"<[^>]+>", "", said)


def test_a_direction_and_a_head_say_what_is_used(used):
    client, arrays = used
    said = words_of(client.get("/tiny/L1/H2/ov/svd/3").text)
    assert f"{arrays['used'][1, 2, 3]:.1%} of what varies in what L1H2 writes" in said
    assert f"above 0 at {arrays['positive'][1, 2, 3]:.1%} of the tokens" in said
    value, low, high = arrays["first"][1, 2]
    for place in ("L1/H2", "L1/H2/ov"):
        said = words_of(client.get(f"/tiny/{place}").text)
        assert f"first 8 directions make {value:.1%} ({low:.1%} to {high:.1%})" in said
        assert "by weights alone" in said


def test_programs_get_the_numbers_and_null_where_there_are_none(used, client):
    own, arrays = used
    direction = check_answer("direction", own.get("/api/v1/tiny/L1/H2/ov/svd/3").json())
    assert direction["use"]["used_share"] == pytest.approx(float(arrays["used"][1, 2, 3]))
    assert set(direction["use"]["skew"]) == {"value", "low", "high"}
    head = check_answer("head", own.get("/api/v1/tiny/L1/H2").json())
    assert set(head["ov"]["use"]) == {"first", "used", "even", "fitted", "random", "n_tokens"}
    assert head["qk"]["use"] is None
    assert check_answer("direction", client.get("/api/v1/tiny/L1/H2/ov/svd/3").json())["use"] is None
    assert ' used">' not in client.get("/tiny/L1/H2/ov/svd/3").text
