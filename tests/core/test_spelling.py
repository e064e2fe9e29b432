"""What two tokens share is written out; how that is summed and averaged has a double loop over pairs as its oracle."""

import itertools
import math
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core import spelling
from app.core.spelling import MOST_BITS, TRAITS, Traits, likeness, traits
from app.models import demo
from app.models.vocabulary import Vocabulary
from tests.conftest import HOSTILE

WORDS = [
    "Singing",
    " ringing",
    " Rang",
    "x",
    " 1830",
    "1914",
    "12",
    "N2",
    "NASA",
    " McKay",
    "),",
    " (",
    "\n\n",
    "привет",
    "a b",
    "iPad",
]


@pytest.fixture(scope="module")
def demo_texts() -> list[str]:
    vocabulary = Vocabulary(demo.FOLDER / "tokenizer.json", 8192)
    return [vocabulary.entry(id_).text for id_ in range(vocabulary.size)]


@pytest.fixture(scope="module")
def demo_traits(demo_texts) -> Traits:
    return traits(demo_texts)


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
        ("Singing", " ringing", {"suffix 1", "suffix 2", "suffix 3", "script", "digits"}),
        (" ringing", " Rang", {"prefix 1", "suffix 1", "suffix 2", "script", "digits", "leading space"}),
        (" 1830", "1914", {"capitalisation", "script", "digits"}),
        ("1914", "12", {"capitalisation", "script", "leading space"}),
        ("NASA", " McKay", {"script", "digits"}),
        ("Singing", " Rang", {"suffix 1", "suffix 2", "capitalisation", "script", "digits"}),
        ("Singing", "привет", {"digits", "leading space"}),
        ("),", " (", {"capitalisation", "script", "digits"}),
        ("),", "\n\n", {"capitalisation", "digits", "leading space"}),
        ("N2", "NASA", {"prefix 1", "script", "leading space"}),
        ("a b", " (", {"digits"}),
        ("iPad", " McKay", {"capitalisation", "script", "digits"}),
        ("iPad", "Singing", {"script", "digits", "leading space"}),
        ("x", "x", {"prefix 1", "suffix 1", "capitalisation", "script", "digits", "leading space"}),
    ],
)
def test_what_two_tokens_share(text, other, shared):
    assert shares(text, other, traits(WORDS), WORDS) == shared


@pytest.mark.parametrize(
    ("text", "as_if"), [("ﬁnd", "find"), ("ＡＢＣ", "ABC"), ("e\u0301te", "éte"), ("STRASSE", "STRAßE")]
)
def test_other_forms_of_letters_are_spelt_like_them(text, as_if):
    one, two = traits([text, as_if]).codes
    affixes = slice(0, TRAITS.index("capitalisation"))
    assert one[affixes].tolist() == two[affixes].tolist()
    assert (one[affixes] >= 0).all()


def test_bytes_are_no_letters():
    found = traits(["<0xE2>", "<0xE2><0x80>", "<0xG2>", "xe"])
    script = TRAITS.index("script")
    assert found.codes[:2, :script].tolist() == [[-1] * 6 + [found.codes[0, 6]]] * 2
    assert found.codes[0, script] == found.codes[1, script] != found.codes[2, script]
    assert found.codes[2, script] == found.codes[3, script]
    assert found.codes[2, 0] == found.codes[3, 0]


def test_worth_is_the_surprise_of_a_value(demo_texts, demo_traits):
    letters = ["".join(filter(str.isalpha, text.lower())) for text in demo_texts]
    counts = Counter(text[-3:] for text in letters)
    worths = demo_traits.worths[:, TRAITS.index("suffix 3")]
    for id_, text in enumerate(letters[:2000]):
        expected = min(MOST_BITS, -math.log2(counts[text[-3:]] / len(letters))) if len(text) > 2 else 0
        assert worths[id_].item() == pytest.approx(expected, abs=1e-5)
    spaces = sum(text.startswith(" ") for text in demo_texts)
    worths = demo_traits.worths[:, TRAITS.index("leading space")]
    for id_, text in enumerate(demo_texts[:200]):
        count = spaces if text.startswith(" ") else len(demo_texts) - spaces
        assert worths[id_].item() == pytest.approx(-math.log2(count / len(demo_texts)), abs=1e-5)


def test_one_rare_value_does_not_rule():
    found = traits(["щы", "щи", *(f"word{i}" for i in range(2**12))])
    assert found.worths[0, TRAITS.index("prefix 1")].item() == MOST_BITS
    assert found.worths.max().item() == MOST_BITS


def test_an_empty_text_is_no_token():
    with_none, without = traits(["", *WORDS, ""]), traits(WORDS)
    assert with_none.worths[1:-1].equal(without.worths)
    assert with_none.codes[0].tolist() == [-1] * len(TRAITS)
    assert with_none.worths[0].tolist() == [0.0] * len(TRAITS)
    assert likeness(with_none, torch.tensor([[0, len(WORDS) + 1]])).item() == 0


@pytest.mark.parametrize("rows", [1, 7, 2**10])
@pytest.mark.parametrize("k", [2, 5, 20])
def test_against_the_pairs_one_by_one(monkeypatch, demo_texts, demo_traits, k, rows):
    monkeypatch.setattr(spelling, "ROWS", rows)
    ids = rows_of(demo_texts, 30, k, lambda text: text.endswith("ing"), k // 2)
    ids[torch.rand(ids.shape, generator=torch.Generator().manual_seed(0)) < 0.1] = -1
    found = likeness(demo_traits, ids).tolist()
    assert found == pytest.approx([in_pairs(demo_traits, row) for row in ids.tolist()], rel=1e-5, nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text() | st.sampled_from([*HOSTILE, *WORDS, "\ud800", "<0xE2>", ""]), min_size=2, max_size=8))
def test_hostile_texts(texts):
    found = traits(texts)
    ids = torch.arange(len(texts))[None]
    assert 0 <= found.worths.min() <= found.worths.max() <= MOST_BITS
    value = likeness(found, ids).item()
    assert value == pytest.approx(in_pairs(found, ids[0].tolist()), rel=1e-5, abs=1e-6)


def test_the_order_of_tokens_does_not_matter(demo_texts, demo_traits):
    ids = rows_of(demo_texts, 100, 20, str.isdigit, 5)
    turned = ids[:, torch.randperm(20, generator=torch.Generator().manual_seed(1))]
    assert likeness(demo_traits, ids).equal(likeness(demo_traits, turned))


def test_fewer_than_two_tokens_have_no_pairs(demo_traits):
    assert likeness(demo_traits, torch.tensor([[3, -1, -1], [-1, -1, -1]])).isnan().all()
    assert likeness(demo_traits, torch.zeros(2, 0, dtype=torch.int64)).isnan().all()


def test_nothing_at_all():
    empty = traits([])
    assert empty.codes.shape == empty.worths.shape == (0, len(TRAITS))
    assert likeness(traits(WORDS), torch.zeros(0, 5, dtype=torch.int64)).shape == (0,)


@pytest.mark.parametrize(
    "chosen",
    [
        lambda text: text.endswith("ing"),
        lambda text: text.startswith(" con"),
        lambda text: text.strip().istitle(),
        lambda text: text.strip().isdecimal(),
    ],
    ids=["-ing", "con-", "Title", "digits"],
)
def test_planted_spelling_ranks_above_random_tokens(demo_texts, demo_traits, chosen):
    planted = likeness(demo_traits, rows_of(demo_texts, 300, 20, chosen, 14))
    random = likeness(demo_traits, rows_of(demo_texts, 300, 20, chosen))
    assert (planted[:, None] > random).double().mean() > 0.99
