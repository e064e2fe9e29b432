import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.explorer.asking import terms
from app.explorer.asking.terms import parse_terms
from app.explorer.errors import BadOption
from app.explorer.options import LONGEST_SEARCH


def spelt(typed):
    return [(term.kind, "-" * term.is_minus + term.text) for term in parse_terms(typed)]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("writing,wrote", [("word", "writing"), ("word", "wrote")]),
        ("writing wrote", [("word", "writing"), ("word", "wrote")]),
        (" writing ,\n wrote ,", [("word", "writing"), ("word", "wrote")]),
        ('"to be" not', [("phrase", "to be"), ("word", "not")]),
        ('" Paris"', [("phrase", " Paris")]),
        ('"to be', [("phrase", "to be")]),
        ('"', [("word", '"')]),
        ('""', [("word", '""')]),
        ('","', [("phrase", ",")]),
        ('" "', []),
        ("“ ”", [("word", "“"), ("word", "”")]),
        ("king -man", [("word", "king"), ("word", "-man")]),
        ('-"a man" -#12', [("phrase", "-a man"), ("token", "-#12")]),
        ("well-known - --x", [("word", "well-known"), ("word", "-"), ("word", "--x")]),
        ("#1234 #x #01", [("token", "#1234"), ("word", "#x"), ("word", "#01")]),
        ("L27H0.ov.0n -l3.mlp-in.12+", [("ray", "L27H0.ov.0n"), ("ray", "-l3.mlp-in.12+")]),
        ("L27H0 embed", [("word", "L27H0"), ("word", "embed")]),
        ("", []),
        (" ,, ", []),
    ],
)
def test_words_phrases_ids_and_rays(typed, found):
    assert spelt(typed) == found


@given(st.text(alphabet=st.sampled_from('ab ,"-#1.L0Hov\n”é\ud800')) | st.text())
def test_any_text_has_terms_that_stand_where_they_say(typed):
    found = parse_terms(typed)
    before = 0
    for term in found:
        assert before <= term.start < term.end <= len(typed)
        assert term.text in terms._use_plain_marks(typed)[term.start : term.end]
        before = term.end
        assert term.replace_in(typed, "x").startswith(typed[: term.start])


def test_a_term_is_replaced_where_it_stands():
    typed = "Paris, -Rome"
    paris, rome = parse_terms(typed)
    assert paris.replace_in(typed, '"Paris"') == '"Paris", -Rome'
    assert rome.replace_in(typed, '"Rome"') == 'Paris, -"Rome"'


def test_a_page_of_text_is_refused_with_the_bound():
    with pytest.raises(BadOption, match="at most 1,000 characters"):
        parse_terms("x" * (LONGEST_SEARCH + 1))
    assert len(parse_terms("x " * (LONGEST_SEARCH // 2))) == LONGEST_SEARCH // 2


@pytest.mark.parametrize(
    ("typed", "plain"),
    [
        ("“New York”", '"New York"'),
        ("„Haus“ «maison»", '"Haus" "maison"'),
        ("king −man", "king -man"),
        ("–man", "-man"),
        ("red，blue;green、white；x", "red,blue,green,white,x"),
    ],
)
def test_marks_of_other_keyboards_mean_the_same(typed, plain):
    assert [(one.text, one.kind, one.is_minus) for one in parse_terms(typed)] == [
        (one.text, one.kind, one.is_minus) for one in parse_terms(plain)
    ]
    assert [one.start for one in parse_terms(typed)] == [one.start for one in parse_terms(plain)]


@pytest.mark.parametrize("alone", ["“", "”", "−", "–", "，", ";", "“”", "a−b", "3 − 2"])
def test_a_mark_that_stands_alone_is_what_is_searched_for(alone):
    assert "".join(one.text for one in parse_terms(alone)) == alone.replace(" ", "")
