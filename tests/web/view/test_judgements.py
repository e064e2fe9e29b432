import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.judging.bootstrap import Estimate, Interval
from app.core.judging.discovery import q_values
from app.explorer.pages.rays import Judgement, Rays, Verdict
from app.web.view.judgements import (
    count_standing_out,
    describe_outcome,
    describe_p,
    dot,
    marks,
    why_undetermined,
    word_ratio,
)

NUMBERS = st.none() | st.floats(-30, 30)
PS = st.none() | st.floats(0.00025, 1)
JUDGEMENTS = st.builds(
    Judgement,
    st.tuples(*[st.none() | st.floats(-1, 1)] * 3),
    st.tuples(NUMBERS, NUMBERS, NUMBERS),
    st.tuples(PS, PS, PS),
    PS,
    NUMBERS,
    PS,
)


def judged(p, q=0.5, spelling_p=0.5, z=2.5):
    return Judgement((0.25, 0.2, 0.1), (1.0, 1.5, z), (0.5, 0.25, p), q, 0.75, spelling_p)


def read(text):
    return None if text == "–" else float(text.replace("−", "-"))


@pytest.mark.parametrize(
    ("p", "q", "stands_out"),
    [
        (0.009, 0.5, False),
        (0.01, 0.5, False),
        (0.009, 0.09, True),
        (0.02, 0.09, False),
        (0.009, 0.1, False),
        (None, None, False),
        (0.001, None, False),
    ],
)
def test_there_is_one_mark_for_an_end_that_passes_both_thresholds(p, q, stands_out):
    assert dot(judged(p, q)) == ("●" if stands_out else "")
    (plus,) = marks(Rays(judged(p, q)))
    assert (plus.classes, plus.z) == (("p stands-out", "2.5 ●") if stands_out else ("p", "2.5"))
    words = describe_outcome(judged(p, q), 4_000)
    assert words.startswith("stands out") == stands_out


@pytest.mark.parametrize(
    ("p", "q", "words"),
    [
        (1 / 4001, 0.01, "stands out from all 4,000 random ends"),
        (0.005, 0.05, "stands out from all but 1 in 200 random ends"),
        (0.005, 0.3, "more alike than all but 1 in 200 random ends, which in a list this long may be chance"),
        (0.3, 0.05, "not told apart from random: 30 in 100 random ends are as alike"),
        (None, None, "not judged: too few of its tokens were ever trained"),
    ],
)
def test_an_end_in_a_line(p, q, words):
    assert describe_outcome(judged(p, q), 4_000) == words


@given(st.lists(st.floats(0.00025, 1), min_size=1, max_size=200))
def test_the_ends_that_stand_out_are_those_that_pass_both(ps):
    q = q_values(np.array(ps))
    n_readable, n_found = sum(p < 0.01 for p in ps), int((q < 0.1).sum())
    verdict = Verdict("read", len(ps), 0, n_readable, n_found, 0, ())
    assert count_standing_out(verdict) == sum(judged(p, one).stands_out for p, one in zip(ps, q.tolist(), strict=True))


def test_spelling_is_judged_by_its_own_p():
    assert judged(0.5, spelling_p=0.009).is_spelling
    assert not judged(0.001, spelling_p=0.01).is_spelling
    assert not judged(0.001, spelling_p=None).is_spelling


@given(JUDGEMENTS, st.none() | JUDGEMENTS)
def test_a_tooltip_has_every_number_of_its_own_ray(plus, minus):
    found = marks(Rays(plus, minus))
    assert [mark.classes[0] for mark in found] == ["p", "n"][: len(found)]
    for mark, one in zip(found, (plus, minus), strict=False):
        said = re.findall(
            r"–(?![\d.])|−?(?:\d+\.?\d*|\.\d+)(?:e-\d+)?", mark.about.replace("the first 10, 20, 50 tokens", "")
        )
        numbers = (*one.coherence, *one.z, *one.p, one.q, one.spelling_z, one.spelling_p)
        assert len(said) == len(numbers)
        for text, number in zip(said, numbers, strict=True):
            assert read(text) == (None if number is None else pytest.approx(number, rel=0.06, abs=0.06))
        assert read(mark.z.rstrip(" ●")) == (None if one.z[2] is None else pytest.approx(one.z[2], abs=0.051))


@pytest.mark.parametrize(("p", "text"), [(None, "–"), (0.05, ".05•"), (0.051, ".051"), (1 / 513, ".0019•"), (1.0, "1")])
def test_a_ray_says_how_it_stands_among_random_rotations(p, text):
    (plus,) = marks(Rays(replace(judged(0.5), rotation_p=p)))
    (unasked,) = marks(Rays(judged(0.5)))
    assert plus.rotation == text
    assert plus.about == unasked.about + (f" · p among random rotations {text}" if p else "").replace(
        "•", ", better than 95%"
    )


def test_why_a_direction_has_no_class_is_one_reason():
    known = Rays(judged(0.001), judged(0.5), "undetermined", 0.25)
    assert "lead over the other" in why_undetermined(known)
    for less in (
        replace(known, plus=judged(None)),
        replace(known, minus=judged(None)),
        replace(known, difference_p=None),
    ):
        assert why_undetermined(less).startswith("A number is missing")


@pytest.mark.parametrize("n", [200, 4000])
def test_a_p_in_words_is_that_p(n):
    """Against the counts that a p stands for: `as_many` of n random ends are as coherent, or more."""
    assert describe_p(1 / (n + 1), n) == f"more alike than all {n:,} random ends"
    for as_many in range(1, n):
        p = (1 + as_many) / (1 + n)
        words = describe_p(p, n)
        number = int(re.findall(r"[\d,]+", words)[-1 if "all but" in words else 0].replace(",", ""))
        if p < 0.01:
            assert number == pytest.approx(1 / p, abs=0.5)
        else:
            assert words.endswith("in 100 random ends are as alike")
            assert number == pytest.approx(100 * p, abs=0.5)


@pytest.mark.parametrize(
    ("interval", "how"),
    [
        ((0.98, 1.0), "as much as an even stream would"),
        ((0.9, 1.1), "as much as an even stream would"),
        ((1.05, 1.3), "more than"),
        ((0.5, 0.95), "less than"),
        ((0.8, 1.2), "more or less than"),
        (None, "more or less than"),
    ],
)
def test_a_ratio_says_no_more_than_its_interval_allows(interval, how):
    assert how in word_ratio(Estimate(1.0, interval and Interval(*interval), 16))
