import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from app.core.address import parse
from app.core.judging.rays import HEADLINE
from app.explorer.errors import BadOption, UnknownAddress
from app.explorer.making.tables import Tables
from app.explorer.reading.hits import find_hits
from app.explorer.view import SORTS
from app.explorer.visits import browse
from app.explorer.visits.browse import Options
from app.explorer.visits.compare import visit_comparison
from app.models.token_filter import TokenFilter
from app.models.vocabulary import TokenEntry

OV = parse("tiny/L1/H2/ov")


def test_home_lists_the_models_of_this_server(open_explorer, fresh_data):
    (entry,) = browse.visit_home(open_explorer(fresh_data)).models
    assert (entry.slug, entry.state, entry.message) == ("tiny", "imported", "")
    assert (entry.model.n_layers, entry.model.n_heads, entry.model.d_model, entry.model.d_head) == (2, 4, 32, 8)
    assert entry.model.fingerprint.startswith(entry.model.pin)
    assert len(entry.model.pin) >= 8


def test_the_map_agrees_with_the_matrix_pages(explorer):
    scores = browse.visit_model(explorer, parse("tiny"), Options()).map.scores
    assert "copying" in scores
    assert {"ov-stable-rank", "qk-stable-rank"} < set(scores)
    for score in scores:
        heads = browse.visit_model(explorer, parse("tiny"), Options(), score).map
        assert heads.score == score
        values = []
        for row in heads.rows:
            for cell in row:
                circuit, _, name = score.partition("-") if score != "copying" else ("ov", "", "copying")
                page = browse.visit_matrix(explorer, cell.address.at(circuit), Options())
                assert dict(page.scores)[name] == pytest.approx(cell.value, rel=1e-6, abs=1e-9)
                values.append((cell.value, cell.rank))
        assert (heads.low, heads.high) == (min(values)[0], max(values)[0])
        by_rank = [value for value, _ in sorted(values, key=lambda pair: pair[1])]
        assert by_rank == sorted(by_rank, reverse=True)
        assert sorted(rank for _, rank in values) == list(range(1, 9))


def test_an_unknown_score_names_the_choices(explorer):
    with pytest.raises(BadOption, match="qk-entropy-rank"):
        browse.visit_model(explorer, parse("tiny"), Options(), "beauty")


def test_a_layer_shows_what_its_heads_show(explorer):
    page = browse.visit_layer(explorer, parse("tiny/L1"), Options())
    assert (page.previous, page.next) == (parse("tiny/L0"), None)
    assert len(page.heads) == 4
    for pair in page.heads:
        for summary in (pair.ov, pair.qk):
            whole = browse.visit_matrix(explorer, summary.address, Options())
            assert summary.singular_values == pytest.approx(whole.singular_values, rel=1e-6)
            assert dict(summary.scores) == pytest.approx(dict(whole.scores), rel=1e-6)
            assert len(summary.strongest) == 3
            for little, large in zip(summary.strongest, whole.directions, strict=False):
                assert replace(little, left=None, right=None) == replace(large, left=None, right=None)
                assert [token.id for token in little.right.plus] == [token.id for token in large.right.plus]
                assert [token.id for token in little.left.minus] == [token.id for token in large.left.minus]


def test_a_head_shows_both_matrices_as_their_pages_do(explorer):
    page = browse.visit_head(explorer, parse("tiny/L1/H2"), Options())
    assert page.ov == browse.visit_matrix(explorer, OV, Options())
    assert page.qk == browse.visit_matrix(explorer, parse("tiny/L1/H2/qk"), Options())
    assert (page.previous, page.next) == (parse("tiny/L1/H1"), parse("tiny/L1/H3"))


def test_a_layer_counts_the_rays_that_it_judges(explorer):
    for head in range(4):
        browse.visit_head(explorer, parse("tiny/L1").at_head(head), Options())
    page = browse.visit_layer(explorer, parse("tiny/L1"), Options())
    p = [
        side.rays.plus.p[HEADLINE]
        for pair in page.heads
        for summary in (pair.ov, pair.qk)
        for direction in summary.strongest
        for side in (direction.left, direction.right)
    ]
    assert [ray.p[HEADLINE] for ray in page.judged] == [each for each in p if each is not None] != []
    assert [ray.is_readable for ray in page.judged] == [each < 0.01 for each in p if each is not None]


def test_heads_follow_each_other_over_layers(explorer):
    def around(address):
        page = browse.visit_matrix(explorer, parse(address), Options())
        return page.previous, page.next

    assert around("tiny/L0/H0/qk") == (None, parse("tiny/L0/H1/qk"))
    assert around("tiny/L0/H3/qk") == (parse("tiny/L0/H2/qk"), parse("tiny/L1/H0/qk"))
    assert around("tiny/L1/H3/qk") == (parse("tiny/L1/H2/qk"), None)


def test_a_decomposition_shows_its_matrix(explorer):
    assert browse.visit_matrix(explorer, parse("tiny/L1/H2/ov/svd"), Options()) == browse.visit_matrix(
        explorer, OV, Options()
    )


def test_the_two_weight_processings_are_two_decompositions(explorer):
    folded, raw = (browse.visit_matrix(explorer, OV, Options(weights=weights)) for weights in ("folded", "raw"))
    assert (folded.view.weights, raw.view.weights) == ("folded", "raw")
    assert folded.view.default_weights == raw.view.default_weights == "folded"
    assert not np.allclose(folded.singular_values, raw.singular_values, rtol=0.01)
    assert browse.visit_matrix(explorer, OV, Options()) == folded


def test_the_operator_chooses_the_default(open_explorer, explorer):
    r = open_explorer(explorer.data, weights="raw")
    assert browse.visit_matrix(r, OV, Options()).view.weights == "raw"


def _zs(side):
    """Of both rays, where they are known."""
    if side.rays is None:
        return [-np.inf]
    return [-np.inf if one.z[-1] is None else one.z[-1] for one in (side.rays.plus, side.rays.minus)]


@pytest.mark.parametrize("sort", SORTS)
def test_sorts_are_permutations_in_their_order(explorer, sort):
    rows = browse.visit_matrix(explorer, OV, Options(sort=sort)).directions
    key = {
        "order": lambda row: row.index,
        "strength": lambda row: -row.singular_value,
        "weakest": lambda row: row.singular_value,
        "gap": lambda row: -row.gap,
        "closest": lambda row: row.gap,
        "readable": lambda row: -max(_zs(row.left) + _zs(row.right)),
        "readable-left": lambda row: -max(_zs(row.left)),
        "readable-right": lambda row: -max(_zs(row.right)),
    }[sort]
    assert [key(row) for row in rows] == sorted(key(row) for row in rows)
    assert {row.index for row in rows} == set(range(8))


@pytest.mark.parametrize("sort", SORTS)
def test_pages_show_each_direction_once(explorer, sort, monkeypatch):
    whole = browse.visit_matrix(explorer, OV, Options(sort=sort)).directions
    monkeypatch.setattr(browse, "MATRIX_ROWS", 3)
    pages = [browse.visit_matrix(explorer, OV, Options(sort=sort, page=page)) for page in (1, 2, 3)]
    assert [len(page.directions) for page in pages] == [3, 3, 2]
    assert sum((page.directions for page in pages), ()) == whole
    assert {(page.n_pages, page.n_found, page.rank) for page in pages} == {(3, 8, 8)}
    with pytest.raises(BadOption, match="3"):
        browse.visit_matrix(explorer, OV, Options(page=4))


def kept_tokens(explorer, row):
    """(side, ray, place, token) of all that is kept of the direction: its own page shows that."""
    direction = browse.visit_direction(explorer, row.address, Options())
    return [
        (name, ray, place, token)
        for name, side in (("left", direction.left), ("right", direction.right))
        for ray, tokens in (("p", side.plus), ("n", side.minus))
        for place, token in enumerate(tokens, 1)
    ]


@pytest.mark.parametrize("text", ["the", "THE", " the", "H", "·th", "zzz", "<0x"])
def test_find_keeps_the_rows_that_keep_the_text_and_says_where(explorer, text):
    whole = browse.visit_matrix(explorer, OV, Options()).directions
    page = browse.visit_matrix(explorer, OV, Options(find=text))
    needle, word = text.casefold().replace("·", " "), text.casefold().replace("·", " ").strip()
    hits = {
        row.index: [
            hit
            for hit in kept_tokens(explorer, row)
            if needle in (own := hit[3].text.casefold()) or own.strip() == word
        ]
        for row in whole
    }
    is_whole = {
        index: any(token.text.casefold().strip() == word for *_, token in found) for index, found in hits.items()
    }
    expected = [index for index, found in hits.items() if found]
    assert page.n_found == len(expected)
    assert [row.index for row in page.directions] == sorted(expected, key=lambda index: not is_whole[index])
    for row in page.directions:
        for name in ("left", "right"):
            own = getattr(row, name)
            assert (own.plus, own.minus) == (
                getattr(whole[row.index], name).plus,
                getattr(whole[row.index], name).minus,
            )
            all_ = [(ray, place, token) for side, ray, place, token in hits[row.index] if side == name]
            told = [(one.ray, one.place, one.token) for one in own.found]
            assert [one for one in told if one[1] <= 8] == [one for one in all_ if one[1] <= 8]
            for ray in "pn":
                behind = [one for one in all_ if one[0] == ray and one[1] > 8]
                said = [one for one in told if one[0] == ray and one[1] > 8]
                assert len(said) == min(3, len(behind))
                assert set(said) <= set(behind)
                first = [one for one in behind if one[2].text.casefold().strip() == word][:3]
                assert said[: len(first)] == first


def test_a_ray_that_a_basis_has_not_is_not_looked_at():
    ids = np.array([[0, 1], [2, 3]], np.int32)
    arrays = {"left_top_ids": ids, "left_bottom_ids": ids[::-1].copy()}

    class Words:
        def entry(self, id_):
            return TokenEntry(id_, "abcd"[id_], "abcd"[id_], "text")

    rows = np.arange(2)
    for n_rays, expected in ((1, [0]), (2, [0, 1])):
        found = find_hits(arrays, "A", n_rays, Words(), ("read", "neuron"))
        assert found.rows(arrays, rows).tolist() == expected


def test_one_page_number_serves_both_tables_of_a_head(explorer, monkeypatch):
    monkeypatch.setattr(browse, "HEAD_ROWS", 2)
    shorter = None
    for text in map(chr, range(ord("a"), ord("z"))):
        page = browse.visit_head(explorer, parse("tiny/L1/H2"), Options(find=text))
        if page.ov.n_pages != page.qk.n_pages:
            shorter, n_pages = text, max(page.ov.n_pages, page.qk.n_pages)
            break
    assert shorter, "no letter tells the two tables apart"
    last = browse.visit_head(explorer, parse("tiny/L1/H2"), Options(find=shorter, page=n_pages))
    assert sorted([bool(last.ov.directions), bool(last.qk.directions)]) == [False, True]
    with pytest.raises(BadOption):
        browse.visit_head(explorer, parse("tiny/L1/H2"), Options(find=shorter, page=n_pages + 1))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (Options(page=0), "1"),
        (Options(page=10**9), "there are 1"),
        (Options(sort="beauty"), "closest"),
        (Options(weights="cooked"), "folded, raw"),
        (Options(find="x" * 101), "100"),
    ],
)
def test_options_outside_their_range_name_it(explorer, options, named):
    with pytest.raises(BadOption, match=named):
        browse.visit_matrix(explorer, OV, options)


@pytest.mark.parametrize(
    ("verb", "address", "named"),
    [
        (browse.visit_model, "gpt9", "tiny"),
        (browse.visit_layer, "tiny/L2", "L0 to L1"),
        (browse.visit_head, "tiny/L0/H4", "H0 to H3"),
        (browse.visit_matrix, "tiny/L99999/H0/ov", "L0 to L1"),
        (browse.visit_direction, "tiny/L0/H0/ov/svd/8", "0 to 7"),
        (browse.visit_model, "tiny@0123456789", "fingerprint"),
    ],
)
def test_what_is_not_there_names_the_valid_range(explorer, verb, address, named):
    with pytest.raises(UnknownAddress, match=named):
        verb(explorer, parse(address), Options())


def test_an_unknown_place_computes_nothing(explorer, monkeypatch):
    monkeypatch.setattr(explorer.queue, "submit", lambda *_: pytest.fail("work was put in line"))
    with pytest.raises(UnknownAddress):
        browse.visit_direction(explorer, parse("tiny/L0/H0/ov/svd/8"), Options(weights="raw"))


def test_a_pin_stays_in_the_links(explorer):
    fingerprint = browse.visit_home(explorer).models[0].model.fingerprint
    for digits in (8, 12, 64):
        address = OV.with_pin(fingerprint[:digits])
        page = browse.visit_matrix(explorer, address, Options())
        assert page.address.pin == fingerprint[:digits]
        assert page.directions[0].address == address.direction(0)
        assert page.previous.pin == fingerprint[:digits]


def test_a_second_run_shows_the_same(open_explorer, explorer, fresh_data):
    r = open_explorer(fresh_data)
    for weights in ("folded", "raw"):
        options = Options(weights=weights)
        for head in range(4):  # a layer's page marks what is computed
            place = parse(f"tiny/L1/H{head}")
            assert browse.visit_head(r, place, options) == browse.visit_head(explorer, place, options)
        assert browse.visit_layer(r, parse("tiny/L1"), options) == browse.visit_layer(
            explorer, parse("tiny/L1"), options
        )
        # Which heads are there already is another server's history.
        assert scores_of(browse.visit_model(r, parse("tiny"), options)) == scores_of(
            browse.visit_model(explorer, parse("tiny"), options)
        )


def scores_of(page):
    return page.map.score, [[(cell.address, cell.value, cell.rank) for cell in row] for row in page.map.rows]


def test_the_map_marks_heads_that_were_computed(open_explorer, fresh_data):
    r = open_explorer(fresh_data)
    assert browse.visit_model(r, parse("tiny"), Options()).map.n_kept == 0
    assert browse.visit_home(r).models[0].message == ""
    browse.visit_matrix(r, parse("tiny/L1/H2/qk"), Options())
    browse.visit_head(r, parse("tiny/L0/H1"), Options(weights="raw"))
    assert browse.visit_model(r, parse("tiny"), Options()).map.n_kept == 0
    browse.visit_head(r, parse("tiny/L1/H2"), Options())
    page = browse.visit_model(r, parse("tiny"), Options())
    assert [str(cell.address) for row in page.map.rows for cell in row if cell.is_kept] == ["tiny/L1/H2"]
    raw = browse.visit_model(r, parse("tiny"), Options(weights="raw"))
    assert [str(cell.address) for row in raw.map.rows for cell in row if cell.is_kept] == ["tiny/L0/H1"]
    assert browse.visit_home(r).models[0].message == "12% of its heads computed"


def test_pages_whose_artifacts_are_there_never_import_torch(open_explorer, fresh_data):
    script = """
import sys
from pathlib import Path
from app.core.address import parse
from app.core.judging.rays import HEADLINE
from app.explorer.visits import browse, health
from app.explorer.asking import jump
from app.explorer import resources
r = resources.open_resources(data=Path(sys.argv[1]), models=("tiny",), device="auto", weights="folded",
    quota_bytes=10**9, queue_size=4, wait_seconds=30.0, waiters=4)
o = browse.Options()
browse.visit_home(r), browse.visit_model(r, parse("tiny"), o), browse.visit_layer(r, parse("tiny/L0"), o)
browse.visit_head(r, parse("tiny/L0/H0"), o), browse.visit_direction(r, parse("tiny/L0/H0/ov/svd/0"), o)
browse.visit_gallery(r, parse("tiny"), o), jump.jump(r, "tiny", "L0H0"), health.check_health(r)
resources.close_resources(r)
print([name for name in ("torch", "transformers", "transformer_lens") if name in sys.modules])
"""
    r = open_explorer(fresh_data)
    browse.visit_model(r, parse("tiny"), Options())
    browse.visit_layer(r, parse("tiny/L0"), Options())
    browse.visit_head(r, parse("tiny/L0/H0"), Options())
    browse.visit_gallery(r, parse("tiny"), Options())
    result = subprocess.run(
        [sys.executable, "-c", script, str(fresh_data)], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.strip() == "[]"


def test_an_untied_model_says_so(open_explorer, write_gpt2, gpt2_folder, tmp_path):
    from tokenizers import Tokenizer

    from app.models.importing.importer import import_model

    tokenizer = Tokenizer.from_file(str(gpt2_folder / "tokenizer.json"))
    folder = write_gpt2(tmp_path / "untied", tokenizer, tied=False)
    import_model(str(folder), tmp_path / "data", slug="untied", report=lambda step: None)
    r = open_explorer(tmp_path / "data", models=("untied",))
    address = parse("untied/L0/H1/ov")
    for weights in ("folded", "raw"):
        page = browse.visit_matrix(r, address, Options(weights=weights))
        assert "untied" in page.notes
        assert "tied" not in page.notes
    # Raw, the two sides are read with different matrices: the same vector would find other tokens.
    tables, model = Tables("cpu"), r.library.model("untied")
    assert tables.table(model, "raw", "read") is not tables.table(model, "raw", "write")


def test_a_zero_matrix_has_a_page_and_no_directions(open_explorer, fresh_data, gpt2_folder, tmp_path):
    from safetensors.numpy import load_file, save_file

    from app.models.importing.importer import import_model

    folder = shutil.copytree(gpt2_folder, tmp_path / "zero")
    tensors = load_file(folder / "model.safetensors")
    tensors["transformer.h.0.attn.c_proj.weight"][:8] = 0
    tensors["transformer.h.0.attn.c_proj.bias"][:] = 0
    tensors["transformer.h.0.mlp.c_fc.weight"][:, 5] = 0
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    import_model(str(folder), tmp_path / "data", slug="zero", report=lambda step: None)
    r = open_explorer(tmp_path / "data", models=("zero",))
    page = browse.visit_head(r, parse("zero/L0/H0"), Options())
    assert (page.ov.rank, page.ov.directions, page.ov.bias, page.ov.n_pages) == (0, (), None, 1)
    assert "zero-matrix" in page.ov.notes
    assert all(value == 0 for _, value in page.ov.scores)
    assert page.qk.rank == 8
    assert browse.visit_layer(r, parse("zero/L0"), Options()).heads[0].ov.strongest == ()
    assert browse.visit_model(r, parse("zero"), Options()).map.rows[0][0].value == 0
    browse.visit_gallery(r, parse("zero"), Options())
    with pytest.raises(UnknownAddress, match="none"):
        browse.visit_direction(r, parse("zero/L0/H0/ov/svd/0"), Options())
    with pytest.raises(
        UnknownAddress, match=r"The bases of L0H0 OV are not here: it has rank 0, it is zero and has no"
    ):
        visit_comparison(r, parse("zero/L0/H0/ov"), Options(), direction="svd/0")
    with pytest.raises(UnknownAddress, match=r"Neuron 5 is not here: L0 MLP in is zero there. It has neurons 0 to 127"):
        browse.visit_direction(r, parse("zero/L0/mlp-in/neuron/5"), Options())
    assert browse.visit_direction(r, parse("zero/L0/mlp-out/neuron/5"), Options()).same == ()


def test_a_heads_distance_turns_its_qk_alone(relatives):
    near, far = (browse.visit_head(relatives, parse("llama/L1/H2"), Options(distance=d)) for d in (0, 7))
    assert far.ov == near.ov
    assert far.qk == browse.visit_matrix(relatives, parse("llama/L1/H2/qk"), Options(distance=7))
    assert far.qk.singular_values != near.qk.singular_values
    assert (far.view.distance, far.ov.view.distance, far.qk.view.distance) == (7, 0, 7)
    assert (far.ov.largest_distance, far.qk.largest_distance) == (None, 63)


def test_every_family_is_browsed_from_the_model_to_a_direction(relatives, families):
    for family in families:
        page = browse.visit_model(relatives, parse(family), Options())
        assert max(error for _, error in page.model.checks) < 1e-4
        for weights in page.model.processings:
            options = Options(weights=weights)
            assert len(browse.visit_layer(relatives, parse(f"{family}/L1"), options).heads) == 4
            head = browse.visit_head(relatives, parse(f"{family}/L1/H2"), options)
            # Folded, a LayerNorm of queries and keys takes one dimension out of them.
            centred = page.model.qk_norm == "LN" and weights == "folded"
            assert (head.ov.rank, head.qk.rank) == (page.model.d_head, page.model.d_head - centred)
            browse.visit_direction(relatives, parse(f"{family}/L1/H2/qk/svd/3"), options)
            browse.visit_gallery(relatives, parse(family), options)


def test_a_layer_has_the_matrices_judgements(explorer):
    table = browse.visit_matrix(explorer, OV, Options())
    summary = browse.visit_layer(explorer, parse("tiny/L1"), Options()).heads[2].ov
    for little, whole in zip(summary.strongest, table.directions, strict=False):
        for side in ("left", "right"):
            ours, theirs = (getattr(direction, side).rays for direction in (little, whole))
            assert (ours.plus, ours.minus, ours.kind) == (theirs.plus, theirs.minus, theirs.kind)


def test_a_filter_that_leaves_too_few_trained_tokens_is_a_bad_option(open_explorer, fresh_data, monkeypatch):
    """Of tokens 240 to 299, which were never trained, the text knows nothing: only what reads the table does."""
    r = open_explorer(fresh_data)
    weights, draw = r.library.model("tiny").weights(), torch.Generator().manual_seed(1)
    W_E = weights.embeddings().W_E.clone()
    W_E[240:300] = torch.randn(32, generator=draw) + 0.01 * torch.randn(60, 32, generator=draw)
    changed = replace(weights.embeddings(), W_E=W_E, W_U=W_E.T)
    monkeypatch.setattr(type(weights), "embeddings", lambda _: changed)
    for frequent, left in ((230, 10), (240, 0)):
        few = Options(token_filter=TokenFilter(plain=True, frequent=frequent))
        for verb, place in (
            (browse.visit_head, "L1/H2"),
            (browse.visit_direction, "L1/H2/qk/svd/0"),
            (browse.visit_matrix, "embed"),
        ):
            for _ in range(2):  # the second time from memory
                with pytest.raises(BadOption, match=f"leaves {left} of 304 tokens, those that were never trained"):
                    verb(r, parse(f"tiny/{place}"), few)
    enough = browse.visit_head(r, parse("tiny/L1/H2"), Options(token_filter=TokenFilter(plain=True, frequent=220)))
    shown = {token.id for row in enough.ov.directions for token in (*row.left.plus, *row.right.minus)}
    assert shown <= set(range(220, 240))
    assert not enough.is_judged
