from hypothesis import given
from hypothesis import strategies as st

from app.explorer.pages import Token
from app.models.vocabulary import Entry
from app.web.chips import LONGEST_TITLE, Chip, chip_row, chips, measured, plain_chips


def token(text=" a", shown="·a", kind="text", score=1.0):
    return Token(7, text, shown, kind, score)


def test_a_plain_chip_says_id_and_score_and_no_kind():
    (chip,) = chips([token(score=-1.25)])
    assert (chip.shown, chip.kind) == ("·a", "")
    assert "7" in chip.about
    assert "-1.250" in chip.about


def test_other_kinds_are_said():
    (chip,) = chips([token(kind="special")])
    assert chip.kind == "special"
    assert "special" in chip.about


def test_a_cut_token_has_its_text_in_the_tooltip():
    (chip,) = chips([token(text="x" * 50, shown="x" * 40 + "…")])
    assert "x" * 50 in chip.about


def test_a_token_of_ten_kilobytes_stays_small():
    (chip,) = chips([token(text="x" * 10_000, shown="x" * 40 + "…")])
    assert len(chip.about) < LONGEST_TITLE + 100
    assert "10,000" in chip.about


def test_what_cannot_be_seen_is_spelt_so_that_it_can_be_told_apart():
    abouts = [chips([token(text=text, shown="x…")])[0].about for text in ("\U000e0041", "\ue004" + "1")]
    assert [about.partition(" ")[0] for about in abouts] == [r"\U000e0041", r"\ue0041"]


@given(st.text(min_size=41, max_size=60))
def test_tooltips_hold_nothing_that_cannot_be_seen(text):
    (chip,) = chips([token(text=text, shown=text[:40] + "…")])
    assert chip.about.isprintable()


KINDS = st.sampled_from(["text", "special", "byte"])


@given(st.lists(st.builds(token, st.text(), st.text(min_size=1), KINDS, st.floats(-1e6, 1e6)), max_size=4))
def test_a_row_says_what_its_chips_say_whatever_they_hold(tags, tokens):
    row = tags(str(chip_row(tokens)), text_of=("bdi",))
    expected = chips(tokens)
    assert [tag for tag, _ in row.found] == ["bdi"] * len(tokens)
    assert [(own["title"], own.get("class", "")) for _, own in row.found] == [
        (chip.about, chip.kind) for chip in expected
    ]
    assert row.texts == [chip.shown for chip in expected]


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=50).map(lambda scores: sorted(scores, reverse=True)))
def test_bars_are_in_proportion_and_scores_tell_the_first_from_half_of_it(scores):
    rows = measured([token(score=score) for score in scores])
    assert rows[0][3] == 100
    for (*_, width, shown), score in zip(rows, scores, strict=True):
        assert abs(width - 100 * score / scores[0]) <= 0.051
        assert abs(float(shown) - score) <= 0.0051 * scores[0] + 1e-12


def test_no_tokens_make_no_bars():
    assert measured([]) == []


def test_a_plain_chip_tells_no_score():
    long = Entry(9, "x" * 50, "x" * 39 + "…", "text")
    entries = [Entry(7, " a", "·a", "text"), Entry(8, "<eos>", "<eos>", "special"), long]
    assert plain_chips(entries) == [
        Chip("·a", "id 7", ""),
        Chip("<eos>", "id 8", "special"),
        Chip("x" * 39 + "…", "x" * 50 + " · id 9", ""),
    ]
