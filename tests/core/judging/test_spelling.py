"""What two tokens share is written out; how that is summed and averaged has a double loop over pairs as its oracle."""

import itertools
import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.judging import spelling
from app.core.judging.forms import forms_of
from app.core.judging.spelling import MOST_BITS, TRAITS, Traits, is_apart, is_repeated, likeness, traits
from app.models import demo
from app.models.vocabulary import Vocabulary
from tests.conftest import HOSTILE

FORMS = [
    "singing",
    "ringing",
    "rang",
    "x",
    "to",
    "tom",
    "n2a4",
    "nasa",
    "mckay",
    "привет",
    "a b",
    "jewels",
    "jewel",
]


@pytest.fixture(scope="module")
def demo_forms() -> list[str]:
    vocabulary = Vocabulary(demo.FOLDER / "tokenizer.json", 8192)
    return list(forms_of([vocabulary.entry(id_).text for id_ in range(vocabulary.size)]).texts)


@pytest.fixture(scope="module")
def demo_traits(demo_forms) -> Traits:
    return traits(demo_forms)


def shares(text: str, other: str, found: Traits, texts: list[str]) -> set[str]:
    """Which traits two texts share."""
    one, two = (found.codes[texts.index(each)] for each in (text, other))
    return {name for name, same, has in zip(TRAITS, one == two, one >= 0, strict=True) if same and has}


def in_pairs(found: Traits, row: list[int]) -> float:
    """Bits of a pair, the mean over the row's pairs, one by one."""
    ids = [id_ for id_ in row if id_ >= 0]
    tokens = zip(found.codes[ids].tolist(), found.worths[ids].tolist(), strict=True)
    bits = []
    for (one, worths), (two, _) in itertools.combinations(tokens, 2):
        agreed = [w for x, y, w in zip(one, two, worths, strict=True) if x == y != -1]
        bits.append(sum(agreed))
    return sum(bits) / len(bits) if bits else math.nan


def rows_of(texts: list[str], n: int, k: int, chosen, planted: int = 0) -> torch.Tensor:
    """Random tokens, the first few of each row out of those that were chosen."""
    draw = torch.Generator().manual_seed(k)
    rows = torch.randint(0, len(texts), (n, k), generator=draw)
    ids = torch.tensor([id_ for id_, text in enumerate(texts) if chosen(text)])
    rows[:, :planted] = ids[torch.randint(0, len(ids), (n, planted), generator=draw)]
    return rows


@pytest.mark.parametrize(
    ("text", "other", "shared"),
    [
        ("singing", "ringing", {"suffix 1", "suffix 2", "suffix 3", "script", "digits"}),
        ("ringing", "rang", {"prefix 1", "suffix 1", "suffix 2", "script", "digits"}),
        ("to", "tom", {"script", "digits"}),
        ("x", "to", {"script", "digits"}),
        ("nasa", "mckay", {"script", "digits"}),
        ("singing", "привет", {"digits"}),
        ("n2a4", "nasa", {"script"}),
        ("a b", "to", {"script", "digits"}),
        ("jewels", "jewel", {"prefix 1", "prefix 2", "prefix 3", "script", "digits"}),
    ],
)
def test_what_two_forms_share(text, other, shared):
    assert shares(text, other, traits(FORMS), FORMS) == shared


def test_worth_is_the_surprise_of_a_value(demo_forms, demo_traits):
    letters = ["".join(filter(str.isalpha, form)) for form in demo_forms]
    counts = Counter(each[-3:] for each in letters if len(each) > 2)
    worths = demo_traits.worths[:, TRAITS.index("suffix 3")]
    assert min(map(len, letters)) < 3
    for id_, each in enumerate(letters):
        expected = min(MOST_BITS, -math.log2(counts[each[-3:]] / len(letters))) if len(each) > 2 else 0
        assert worths[id_].item() == pytest.approx(expected, abs=1e-5)


def test_one_rare_value_does_not_rule():
    found = traits(["щыщ", "щищ", *(f"word{i}" for i in range(2**12))])
    assert found.worths[0, TRAITS.index("prefix 1")].item() == MOST_BITS
    assert found.worths.max().item() == MOST_BITS


@pytest.mark.parametrize("rows", [1, 7, 2**10])
@pytest.mark.parametrize("k", [2, 5, 20])
def test_against_the_pairs_one_by_one(monkeypatch, demo_forms, demo_traits, k, rows):
    monkeypatch.setattr(spelling, "ROWS", rows)
    ids = rows_of(demo_forms, 30, k, lambda text: text.endswith("ing"), k // 2)
    ids[torch.rand(ids.shape, generator=torch.Generator().manual_seed(0)) < 0.1] = -1
    found = likeness(demo_traits, ids).tolist()
    assert found == pytest.approx([in_pairs(demo_traits, row) for row in ids.tolist()], rel=1e-5, nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text() | st.sampled_from([*HOSTILE, *FORMS, "\ud800", "<0xE2>", ""]), max_size=8))
def test_hostile_texts(texts):
    found = traits(forms_of(texts).texts)
    ids = torch.arange(len(found.codes))[None]
    assert ((found.worths >= 0) & (found.worths <= MOST_BITS)).all()
    value = likeness(found, ids).item()
    assert value == pytest.approx(in_pairs(found, ids[0].tolist()), rel=1e-5, abs=1e-6, nan_ok=True)


def alike(form: str, other: str) -> bool:
    """Whether one word begins or ends with the three letters that the other begins or ends with."""
    one, two = ("".join(filter(str.isalpha, each)) for each in (form, other))
    return min(len(one), len(two)) > 2 and (one[:3] == two[:3] or one[-3:] == two[-3:])


@pytest.mark.parametrize("k", [1, 5, 20, 50])
def test_which_forms_stand_apart(demo_forms, demo_traits, k):
    ids = rows_of(demo_forms, 40, k, lambda form: form.endswith("ing") or form.startswith("con"), k // 4)
    ids[torch.rand(ids.shape, generator=torch.Generator().manual_seed(1)) < 0.2] = -1
    apart = is_apart(demo_traits, ids).tolist()
    for row, are_apart in zip(ids.tolist(), apart, strict=True):
        here = [demo_forms[id_] if id_ >= 0 else None for id_ in row]
        for i, form in enumerate(here):
            before = [other for other in here[:i] if other is not None]
            assert are_apart[i] == (form is not None and not any(alike(form, other) for other in before))
    assert k == 1 or 0 < sum(map(sum, apart)) < (ids >= 0).sum()


def test_a_code_is_repeated_where_it_stands_before():
    codes = torch.tensor([[3, -1, 3, 5, -1, 3], [5, 4, 3, 2, 1, 0]])
    assert is_repeated(codes).tolist() == [[False, False, True, False, False, True], [False] * 6]
    assert is_repeated(codes[:, :0]).shape == (2, 0)


def test_the_order_of_tokens_does_not_matter(demo_forms, demo_traits):
    ids = rows_of(demo_forms, 100, 20, lambda form: form.startswith("con"), 5)
    turned = ids[:, torch.randperm(20, generator=torch.Generator().manual_seed(1))]
    assert likeness(demo_traits, ids).equal(likeness(demo_traits, turned))


def test_fewer_than_two_tokens_have_no_pairs(demo_traits):
    assert likeness(demo_traits, torch.tensor([[3, -1, -1], [-1, -1, -1]])).isnan().all()
    assert likeness(demo_traits, torch.zeros(2, 0, dtype=torch.int64)).isnan().all()


def test_nothing_at_all():
    empty = traits([])
    assert empty.codes.shape == empty.worths.shape == (0, len(TRAITS))
    assert likeness(traits(FORMS), torch.zeros(0, 5, dtype=torch.int64)).shape == (0,)


@pytest.mark.parametrize("affix", ["prefix", "suffix"])
def test_planted_spelling_ranks_above_random_forms(demo_forms, demo_traits, affix):
    is_planted = {"suffix": lambda form: form.endswith("ing"), "prefix": lambda form: form.startswith("con")}[affix]
    planted = likeness(demo_traits, rows_of(demo_forms, 300, 20, is_planted, 14))
    random = likeness(demo_traits, rows_of(demo_forms, 300, 20, is_planted))
    assert (planted[:, None] > random).double().mean() > 0.99
