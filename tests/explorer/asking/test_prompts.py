"""What may be typed as a prompt, and what is said of what may not."""

import pytest
from tokenizers import Tokenizer

from app.explorer.asking.prompts import PromptWish, most_tokens, read_ids
from app.explorer.errors import BadOption
from app.explorer.running.prompts import Limits

LIMITS = Limits(tokens=20, text_bytes=64)


@pytest.fixture(scope="module")
def model(explorer):
    return explorer.library.model("tiny")


def ids_of(model, limits=LIMITS, **typed):
    return list(read_ids(model, PromptWish(**typed), limits))


def spell(model, ids):
    return [model.vocabulary.entry(id_).text for id_ in ids]


def test_a_text_is_cut_as_the_tokenizer_cuts_it(model):
    tokenizer = Tokenizer.from_file(str(model.folder / "tokenizer.json"))
    for text in ("in the sea", " that\tis\n", "é 👩"):
        assert ids_of(model, text=text) == tokenizer.encode(text).ids
    assert "".join(spell(model, ids_of(model, text="in the\r\nsea"))) == "in the\nsea"


def test_token_ids_are_taken_as_they_are(model):
    assert ids_of(model, ids="70, 71 72,73") == [70, 71, 72, 73]
    assert ids_of(model, ids="0") == [0]


def test_a_start_token_is_put_in_front_once(model):
    start = model.vocabulary.start
    assert start == 0
    assert ids_of(model, ids="70 71", start=True) == [0, 70, 71]
    assert ids_of(model, ids="0 71", start=True) == [0, 71]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({}, "Write a text, of up to 20 tokens"),
        ({"text": "", "ids": "  "}, "Write a text"),
        ({"text": "a", "ids": "1"}, "both at once"),
        ({"text": "x" * 65}, r"65 bytes: .* at most 64"),
        ({"text": "é" * 33}, "66 bytes"),
        ({"text": "x" * 21}, "21 tokens: a prompt has 1 to 20"),
        ({"text": "a\x00b"}, r"control character U\+0000"),
        ({"text": "a\x1b[31m"}, r"control character U\+001B"),
        ({"text": "a\x85b"}, r"control character U\+0085"),
        ({"text": "a\ud800b"}, "half of a character"),
        ({"text": "so<|endoftext|>"}, r"is a special token.*write the prompt as token ids: it is 0"),
        ({"ids": "1 x"}, "whole numbers"),
        ({"ids": "-1"}, "whole numbers"),
        ({"ids": "1.5"}, "whole numbers"),
        ({"ids": "٣"}, "whole numbers"),
        ({"ids": "9" * 400}, "whole numbers"),
        ({"ids": "300"}, "no token 300: token ids go from 0 to 299"),
        ({"ids": "999999999"}, "token ids go from 0 to 299"),
        ({"ids": " ".join(["5"] * 21)}, "21 tokens"),
        ({"ids": " ".join(["5"] * 20), "start": True}, "21 tokens"),
    ],
)
def test_what_cannot_be_run_is_refused_with_what_can(model, typed, said):
    with pytest.raises(BadOption, match=said):
        ids_of(model, **typed)


def test_a_refusal_repeats_nothing_that_was_typed(model):
    for typed in ({"text": "quarrelsome" * 9}, {"text": "quarrelsome\x00"}, {"ids": "quarrelsome"}):
        with pytest.raises(BadOption) as refused:
            ids_of(model, **typed)
        assert "quarrel" not in str(refused.value)


def test_no_prompt_is_longer_than_the_models_texts(model):
    assert most_tokens(model, Limits(256, 4096)) == model.header.n_ctx == 32
    with pytest.raises(BadOption, match="33 tokens: a prompt has 1 to 32"):
        ids_of(model, Limits(256, 4096), text="x" * 33)


def test_a_model_that_is_not_run_is_refused_by_name(relatives):
    with pytest.raises(BadOption, match=r"mixtral cannot be run: MixtralForCausalLM is not run here"):
        ids_of(relatives.library.model("mixtral"), ids="1 2")
