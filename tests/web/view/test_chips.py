import itertools

from hypothesis import given
from hypothesis import strategies as st

from app.core.address import parse
from app.core.judging.forms import form_of
from app.explorer.pages.rays import Hit, Token
from app.explorer.view import View
from app.models.vocabulary import TokenEntry
from app.web.urls.places import TokenLinks
from app.web.urls.urls import Urls
from app.web.view.chips import (
    LONGEST_TITLE,
    Chip,
    bar_rows,
    bars,
    chip_row,
    chips,
    entry_row,
    merge_words,
    plain_chips,
)

LINKS = TokenLinks("/lens/tiny/token/", "?weights=raw")


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


TEXTS = st.text() | st.sampled_from([" black", "Black", "BLACK", " blue", "!", " !", "12"])


def numbered(texts, kinds):
    return [
        Token(id_, text, f"shown {id_}", kind, 1.0 - id_ / 8)
        for id_, (text, kind) in enumerate(zip(texts, kinds, strict=False))
    ]


@given(st.lists(TEXTS, max_size=8), st.lists(KINDS, min_size=8, max_size=8))
def test_a_row_has_a_chip_a_word_and_loses_no_token_whatever_they_hold(tags, texts, kinds):
    tokens = numbered(texts, kinds)
    row = tags(str(chip_row(tokens, LINKS)), text_of=("bdi",))
    assert [tag for tag, _ in row.found] == ["bdi", "a"] * len(row.texts)
    # Told apart by a loop over pairs: a token joins the first before it that is text and of the same form.
    first: list[int] = []
    for token in tokens:
        form = form_of(token.text) if token.kind == "text" else None
        same = [i for i in first if form is not None and tokens[i].kind == "text" and form_of(tokens[i].text) == form]
        first += [] if same else [token.id]
    assert [text.partition(" ×")[0] for text in row.texts] == [f"shown {i}" for i in first]
    assert sum(int(text.partition(" ×")[2] or 1) for text in row.texts) == len(tokens)
    assert [own for tag, own in row.found if tag == "a"] == [{"href": LINKS.to(i), "tabindex": "-1"} for i in first]
    said = " ".join(own["title"] for tag, own in row.found if tag == "bdi")
    assert all(f"id {token.id}" in said for token in tokens)


def test_what_is_one_word_is_one_chip_with_all_its_tokens_in_the_tooltip():
    spelt = [(" black", 3.0), ("Black", 2.5), (" blue", 2.0), ("!", 1.5), (" BLACK", 1.0), (" !", 0.5)]
    tokens = [Token(id_, text, text.replace(" ", "·"), "text", score) for id_, (text, score) in enumerate(spelt)]
    assert [[one.id for one in word] for word in merge_words(tokens)] == [[0, 1, 4], [2], [3], [5]]
    black, blue, *_ = bars(tokens, 12)
    assert (black.shown, black.score, black.width) == ("·black ×3", "3.00", 100)
    assert black.about == "3 tokens: ·black 3.000 (id 0) · Black 2.500 (id 1) · ·BLACK 1.000 (id 4)"
    assert (blue.shown, blue.about, blue.width) == ("·blue", "id 2 · 2.000", 66.7)
    assert len(bars(tokens, 2)) == 2
    assert [one.width for one in bars(tokens, 12, longest=6.0)[:2]] == [50, 33.3]


@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_a_row_and_a_list_of_bars_say_the_same_of_a_word(tags, texts):
    tokens = [
        Token(id_, text, text[:39] + "…" if len(text) > 40 else text or "x", "text", 1.0)
        for id_, text in enumerate(texts)
    ]
    row = tags(str(chip_row(tokens, LINKS)), text_of=("bdi",))
    listed = bars(tokens, 8)
    assert row.texts == [one.shown for one in listed]
    assert [own["title"] for tag, own in row.found if tag == "bdi"] == [one.about for one in listed]
    assert [own["href"] for tag, own in row.found if tag == "a"] == [LINKS.to(one.id) for one in listed]


@given(st.lists(TEXTS, max_size=8), st.integers(0, 8))
def test_the_first_words_of_a_row_are_those_of_the_whole_row(tags, texts, most):
    tokens = numbered(texts, ["text"] * 8)
    few, every = (tags(str(chip_row(tokens, LINKS, most=n)), text_of=("bdi",)) for n in (most, None))
    assert (few.texts, few.found) == (every.texts[:most], every.found[: 2 * most])


def test_special_tokens_that_look_alike_stay_apart():
    tokens = [Token(1, "<a>", "<a>", "special", 2.0), Token(2, "<A>", "<A>", "special", 1.0)]
    assert len(merge_words(tokens)) == 2


def test_what_is_found_is_marked_and_follows_with_its_place(tags):
    tokens = numbered([" black", "Black", " <b>"], ["text"] * 3)
    behind = Token(9, " x<", "·x<", "text", 0.1)
    found = [Hit("p", 2, tokens[1], True), Hit("p", 21, behind, False), Hit("n", 3, tokens[2], True)]
    html = str(chip_row(tokens, LINKS, found, "p"))
    row = tags(html, text_of=("mark", "span"))
    assert row.texts == ["shown 0 ×2", "21st", "·x<"]
    assert html.count("<mark>") == 2
    assert tags(str(chip_row(tokens, LINKS, found, "n")), text_of=("mark",)).texts == ["shown 2"]


def rows_of(tags, tokens):
    html = str(bar_rows(tokens, LINKS, Urls("/lens", "https://a.example/lens"), View("raw", "folded")))
    assert html.count("<tr><td>") == html.count("</td></tr>") == len(tokens)
    return tags(html, text_of=("td",))


@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=50).map(lambda scores: sorted(scores, reverse=True)))
def test_bars_are_in_proportion_and_scores_tell_the_first_from_half_of_it(tags, scores):
    rows = rows_of(tags, [token(score=score) for score in scores])
    widths = [own["width"] for tag, own in rows.found if tag == "rect"]
    assert widths[0] == "100.0%"
    for width, shown, score in zip(widths, rows.texts[2::3], scores, strict=True):
        assert abs(float(width.rstrip("%")) - 100 * score / scores[0]) <= 0.051
        assert abs(float(shown) - score) <= 0.0051 * scores[0] + 1e-12


@given(st.lists(TEXTS, min_size=1, max_size=8))
def test_rows_say_of_each_token_what_its_chip_says(tags, texts):
    tokens = [
        Token(id_, text, text[:39] + "…" if len(text) > 40 else text or "x", kind, -1.0)
        for id_, (text, kind) in enumerate(zip(texts, itertools.cycle(("text", "special", "byte")), strict=False))
    ]
    rows = rows_of(tags, tokens)
    assert rows.texts[::3] == [one.shown for one in tokens]
    said = [own for tag, own in rows.found if tag == "bdi"]
    assert [(own["title"], own.get("class", "")) for own in said] == [(one.about, one.kind) for one in chips(tokens)]
    assert [own["href"] for tag, own in rows.found if tag == "a"] == [LINKS.to(one.id) for one in tokens]


def test_an_entry_that_is_a_place_leads_there(tags):
    neuron = Token(3, 'neuron "3"', 'neuron "3"', "text", 1.0, parse("tiny/L1/mlp-in/neuron/3"))
    rows = rows_of(tags, [neuron])
    (link,) = (own for tag, own in rows.found if tag == "a")
    assert (link["href"], link["class"]) == ("/lens/tiny/L1/mlp-in/neuron/3?weights=raw", "chip")
    assert rows.texts[0] == 'neuron "3"'


def test_no_tokens_make_no_rows(tags):
    assert rows_of(tags, []).found == []


def test_a_plain_chip_tells_no_score():
    long = TokenEntry(9, "x" * 50, "x" * 39 + "…", "text")
    entries = [TokenEntry(7, " a", "·a", "text"), TokenEntry(8, "<eos>", "<eos>", "special"), long]
    assert plain_chips(entries) == [
        Chip("·a", "id 7", ""),
        Chip("<eos>", "id 8", "special"),
        Chip("x" * 39 + "…", "x" * 50 + " · id 9", ""),
    ]


def test_tokens_without_scores_are_chips_that_lead_to_them_and_the_asked_ones_are_marked(tags):
    entries = [
        TokenEntry(3, " black", "·black", "text"),
        TokenEntry(4, "Black", "Black", "text"),
        TokenEntry(5, "<b>", "<b>", "special"),
    ]
    html = str(entry_row(entries, LINKS, [5]))
    row = tags(html, text_of=("bdi",))
    assert row.texts == ["·black ×2", "<b>"]
    assert [own["href"] for tag, own in row.found if tag == "a"] == [LINKS.to(3), LINKS.to(5)]
    assert [own.get("class") for tag, own in row.found if tag == "bdi"] == [None, "special"]
    assert "2 tokens: ·black (id 3) · Black (id 4)" in html
    assert html.count("<mark>") == 1
    assert "nan" not in html


@given(st.lists(TEXTS, max_size=8), st.lists(KINDS, min_size=8, max_size=8))
def test_rows_with_and_without_scores_are_of_the_same_words(tags, texts, kinds):
    tokens = numbered(texts, kinds)
    entries = [TokenEntry(one.id, one.text, one.shown, one.kind) for one in tokens]
    rows = [tags(str(row), text_of=("bdi",)).texts for row in (chip_row(tokens, LINKS), entry_row(entries, LINKS))]
    assert rows[0] == rows[1]
