"""A text of the operator's, cut into windows."""

from itertools import pairwise

import pytest

from app.explorer.asking import texts
from app.explorer.asking.texts import TextRefused, cut_windows
from app.explorer.layout import USE_WINDOWS


@pytest.fixture(scope="module")
def model(explorer):
    return explorer.library.model("tiny")


def test_windows_are_spread_over_the_whole_text_and_share_no_token(model):
    text = "".join(f"{n} " for n in range(3_000))
    ids = model.tokenize_whole(text)
    windows = cut_windows(model, text.encode())
    assert len(windows) == USE_WINDOWS
    assert {len(window) for window in windows} == {32}  # as long as the model's texts
    starts = [next(at for at in range(len(ids)) if ids[at : at + 32] == window) for window in windows]
    assert (starts[0], starts[-1]) == (0, len(ids) - 32)
    gaps = [after - before for before, after in pairwise(starts)]
    assert min(gaps) >= 32
    assert max(gaps) - min(gaps) <= 1


def test_a_short_text_gives_short_windows_and_all_of_it(model):
    text = "x" * (USE_WINDOWS * 20)
    windows = cut_windows(model, text.encode())
    assert {len(window) for window in windows} == {20}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "0 tokens: at least 512 are needed, and 1,024 are run"),
        (b"x" * 400, "400 tokens"),
        (b"caf\xe9" * 1_000, "no text in UTF-8: byte 3"),
        (b"x" * (16 * 2**20 + 1), "at most 16 MiB"),
    ],
)
def test_a_text_that_cannot_be_used_is_refused(model, content, said):
    with pytest.raises(TextRefused, match=said):
        cut_windows(model, content)


def test_the_limit_is_looked_at_before_the_text_is_cut(model, monkeypatch):
    monkeypatch.setattr(texts, "MOST_BYTES", 10)
    with pytest.raises(TextRefused, match="at most 0 MiB"):
        cut_windows(model, b"x" * 11)
