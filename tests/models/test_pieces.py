import json

import pytest
from tokenizers import Tokenizer

from app.models import demo
from app.models.pieces import LONGEST, Pieces


@pytest.fixture(scope="module")
def pieces():
    return Pieces(demo.FOLDER / "tokenizer.json")


@pytest.mark.parametrize("text", [" grumpy", "unheard-of", "é🎉", "a" * 50, ""])
def test_a_text_is_cut_as_its_tokenizer_cuts_it(pieces, text):
    tokenizer = Tokenizer.from_file(str(demo.FOLDER / "tokenizer.json"))
    assert pieces.tokenize(text) == tokenizer.encode(text, add_special_tokens=False).ids


def test_what_is_no_text_is_cut_too_and_no_more_than_so_much(pieces):
    assert pieces.tokenize("\ud800") == pieces.tokenize("?")
    assert len(pieces.tokenize("a b" * LONGEST)) <= LONGEST


def test_padding_and_truncation_of_the_file_mean_nothing(tmp_path):
    described = json.loads((demo.FOLDER / "tokenizer.json").read_text())
    described["truncation"] = {"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0}
    (tmp_path / "tokenizer.json").write_text(json.dumps(described))
    assert len(Pieces(tmp_path / "tokenizer.json").tokenize(" the house of the rising sun")) > 1


def test_a_file_that_is_no_tokenizer_is_a_value_error(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match="not read"):
        Pieces(tmp_path / "tokenizer.json")
