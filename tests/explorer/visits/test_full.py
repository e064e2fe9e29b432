import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from app.core.address import parse
from app.explorer.asking.views import Options
from app.explorer.errors import BadOption, UnknownAddress, UnknownToken
from app.explorer.making.full import read_rows
from app.explorer.visits import orders
from app.explorer.visits.full import N_EXAMPLES, N_NEAR, find_examples, visit_full
from app.models import demo
from app.models.vocabulary import Vocabulary
from app.web.view.glossary import NOTES

HEAD = parse("tiny/L1/H2")


def test_without_a_token_there_are_some_to_begin_with_and_nothing_is_computed(explorer, monkeypatch):
    monkeypatch.setattr("app.explorer.visits.orders.fulfil", None)
    page = visit_full(explorer, HEAD, Options(), "")
    assert (page.token, page.rows, page.n_tokens, page.notes) == (None, (), 0, ())
    assert 0 < len(page.suggested) <= N_EXAMPLES
    assert all(token.text.startswith(" ") and token.text[1:].isalpha() for token in page.suggested)
    assert page == visit_full(explorer, HEAD, Options(), "")


def test_examples_go_from_frequent_words_to_rare_ones():
    vocabulary = Vocabulary(demo.FOLDER / "tokenizer.json", 12_288)
    found = find_examples(vocabulary)
    assert len(set(found)) == len(found) == N_EXAMPLES
    assert found == sorted(found)
    assert found[-1] > vocabulary.size / 4


def test_a_vocabulary_without_words_has_no_examples(tmp_path):
    (tmp_path / "tokenizer.json").write_text('{"model": {"vocab": {"a": 0, "bcd": 1}}}')
    assert find_examples(Vocabulary(tmp_path / "tokenizer.json", 2)) == []


def test_a_token_by_its_text_its_shown_form_and_its_id_is_one_page(explorer):
    by_text = visit_full(explorer, HEAD, Options(), " that")
    assert (by_text.token.text, by_text.token.spelling, by_text.token.typed) == (" that", " that", "·that")
    assert visit_full(explorer, HEAD, Options(), "·that") == by_text
    assert visit_full(explorer, HEAD, Options(), f"#{by_text.token.id}") == by_text
    assert [token.text for token in by_text.suggested] == ["that"]
    assert len(by_text.rows) == 3
    assert set(by_text.notes) <= set(NOTES)
    assert by_text.notes[0] == "full-rows"


def test_a_part_of_a_character_is_named_as_it_is_shown(explorer):
    vocabulary = explorer.library.model("tiny").vocabulary
    entry = next(vocabulary.entry(id_) for id_ in range(300) if vocabulary.entry(id_).kind == "byte")
    page = visit_full(explorer, HEAD, Options(), entry.text)
    assert (page.token.id, page.token.kind, page.token.spelling) == (entry.id, "byte", entry.text)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("THAT", ["that", "·that"]),
        (" That ", ["·that", "that"]),
        ("··that", ["that", "·that"]),
        ("whi", ["w"]),
        ("\u202ethat<script>", []),
        ("#300", []),
        ("#99999999", []),
    ],
)
def test_what_is_no_token_is_refused_with_what_it_may_have_meant(explorer, text, near):
    with pytest.raises(UnknownToken) as refused:
        visit_full(explorer, HEAD, Options(), text)
    message, offered = str(refused.value), refused.value.near
    assert "is no single token of tiny" in message
    assert "from #0 to #299" in message
    assert len(offered) <= N_NEAR
    shown = [word for _, word in offered]
    assert set(near) <= set(shown)
    assert all(word in message for word in shown)
    assert message.isprintable()
    for spelling, _ in offered:
        assert visit_full(explorer, HEAD, Options(), spelling).rows


def test_a_long_text_is_cut(explorer):
    with pytest.raises(UnknownToken) as refused:
        visit_full(explorer, HEAD, Options(), "q" * 100)
    assert "q" * 39 + "…" in str(refused.value)
    assert "q" * 40 not in str(refused.value)


@pytest.mark.parametrize("place", ["tiny", "tiny/L1", "tiny/L1/H2/ov", "tiny/heads/write", "tiny/L1/mlp-in"])
def test_only_heads_have_full_circuits(explorer, place):
    with pytest.raises(UnknownAddress, match="tiny/L0/H0/full"):
        visit_full(explorer, parse(place), Options(), " that")


def test_a_place_or_an_option_that_is_not_there(explorer, relatives):
    with pytest.raises(UnknownAddress, match="H0 to H3"):
        visit_full(explorer, parse("tiny/L1/H4"), Options(), " that")
    with pytest.raises(BadOption, match="no rotary positions"):
        visit_full(explorer, HEAD, Options(distance=1), " that")
    with pytest.raises(BadOption, match="raw only"):
        visit_full(relatives, parse("bert/L1/H2"), Options(weights="folded"), "")


def test_every_family_has_a_page(relatives, families):
    for family in families:
        model = relatives.library.model(family)
        for weights in model.header.processings:
            page = visit_full(relatives, parse(f"{family}/L1/H2"), Options(weights=weights), "#20")
            assert [len(ray) for row in page.rows for ray in (row.readout.plus, row.readout.minus)] == [20] * 6
            assert all(1 <= row.own_rank <= page.n_tokens == 97 for row in page.rows)
            assert len(set(page.notes)) == len(page.notes)
            assert ("no-unembedding" in page.notes) == model.header.encoder
            assert ("rotation" in page.notes or "no-rotation" in page.notes) == model.rotates(1)
            assert "sinks" not in page.notes  # it is about constants


def test_a_token_is_computed_once(open_explorer, fresh_data, monkeypatch):
    calls = []
    monkeypatch.setattr("app.explorer.making.full.read_rows", lambda *a, **k: calls.append(k) or read_rows(*a, **k))
    r = open_explorer(fresh_data)
    first = visit_full(r, HEAD, Options(), " that")
    assert visit_full(r, HEAD, Options(), "·that") == first
    assert len(calls) == 1
    visit_full(r, HEAD, Options(), " with")
    visit_full(r, HEAD, Options(weights="raw"), " that")
    visit_full(r, replace(HEAD, head=1), Options(), " that")
    assert len(calls) == 4
    kept = list((fresh_data / "artifacts").rglob("L1/H2/full/*.safetensors"))
    assert len(kept) == 3
    assert max(file.stat().st_size for file in kept) < 8_000
    again = open_explorer(fresh_data)
    assert visit_full(again, HEAD, Options(), " that") == first
    assert len(calls) == 4


def test_a_page_that_is_there_imports_no_torch(explorer):
    visit_full(explorer, HEAD, Options(), " that")
    script = (
        "import sys; from pathlib import Path; from app.core.address import parse; from app.explorer.visits.full import visit_full;"
        "from app.explorer.resources import open_resources, close_resources; from app.explorer.asking.views import Options;"
        "r = open_resources(data=Path(sys.argv[1]), models=('tiny',), device='cpu', weights='folded', quota_bytes=10**9,"
        "queue_size=4, wait_seconds=30, waiters=2);"
        "page = visit_full(r, parse('tiny/L1/H2'), Options(), ' that'); close_resources(r);"
        "print(page.token.id, 'torch' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(explorer.data)], capture_output=True, text=True, timeout=60, check=True
    )
    assert result.stdout.split()[1] == "False"


def test_a_head_that_writes_nothing_has_rows_of_zeros(open_explorer, gpt2_folder, tmp_path):
    import shutil

    from safetensors.numpy import load_file, save_file

    from app.models.importing.importer import import_model

    folder = shutil.copytree(gpt2_folder, tmp_path / "zero")
    tensors = load_file(folder / "model.safetensors")
    tensors["transformer.h.0.attn.c_proj.weight"][:8] = 0
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    import_model(str(folder), tmp_path / "data", slug="zero", report=lambda step: None)
    ov, query, _ = visit_full(
        open_explorer(tmp_path / "data", models=("zero",)), parse("zero/L0/H0"), Options(), "#9"
    ).rows
    assert [token.score for token in ov.readout.plus + ov.readout.minus] == [0] * 40
    assert [token.id for token in ov.readout.plus] == list(range(20))
    assert (ov.own_score, ov.own_rank) == (0, 10)  # ties by id
    assert query.own_score != 0


def test_what_says_little_is_set_apart_and_the_rest_keeps_its_order(explorer, monkeypatch):
    fulfilled = orders.fulfil

    def unmoved(r, *asked):
        """Of the controls, tokens 5, 10, 15 … were never trained."""
        rows, *controls = fulfilled(r, *asked)
        trained = np.arange(300) % 5 > 0
        return [rows, *(replace(each, arrays={**each.arrays, "trained": trained}) for each in controls)]

    monkeypatch.setattr(orders, "fulfil", unmoved)
    monkeypatch.setattr("app.explorer.visits.full.find_hubs", lambda ids, size: np.arange(size) % 7 == 0)
    own = dict.fromkeys(range(0, 300, 7), "hub") | dict.fromkeys(range(0, 300, 5), "never-trained")
    seen = set()
    for row in visit_full(explorer, HEAD, Options(), " that").rows:
        for ray, every, ordinary in (
            ("p", row.readout.plus, row.ordinary.plus),
            ("n", row.readout.minus, row.ordinary.minus),
        ):
            assert len(every) == 20
            apart = [(one.why, one.token) for one in row.apart if one.ray == ray]
            assert apart == [(own[token.id], token) for token in every if token.id in own]
            rest = [token for token in every if token.id not in own]
            assert list(ordinary[: len(rest)]) == rest
            assert len(ordinary) == 50
            assert not {token.id for token in ordinary} & set(own)
            scores = [token.score for token in ordinary]
            assert scores == sorted(scores, reverse=ray == "p")
            seen |= {why for why, _ in apart}
    assert seen == {"hub", "never-trained"}
