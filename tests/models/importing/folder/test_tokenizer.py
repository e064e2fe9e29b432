import json

import pytest
from tokenizers import Tokenizer

from app.models.importing.folder import tokenizer as module
from app.models.importing.folder.tokenizer import LARGEST, read_tokenizer
from app.models.refusal import ImportRefused


@pytest.fixture
def write(gpt2_folder, tmp_path):
    """Writes the tiny model's tokenizer, changed by a function, and returns its folder."""

    def write(change):
        described = json.loads((gpt2_folder / "tokenizer.json").read_text())
        changed = change(described)
        (tmp_path / "tokenizer.json").write_text(json.dumps(described if changed is None else changed))
        return tmp_path

    return write


def test_a_tokenizer_is_read_as_it_is(gpt2_folder):
    raw = (gpt2_folder / "tokenizer.json").read_bytes()
    for d_vocab in (None, 300, 304):
        assert read_tokenizer(gpt2_folder, d_vocab) == raw


def put(id_):
    return lambda described: described["model"]["vocab"].update(a=id_)


def add(**token):
    form = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    return lambda described: described["added_tokens"].append(form | {"content": "new", "id": 300} | token)


def test_added_tokens_may_lie_beyond_the_rows(write):
    assert read_tokenizer(write(add()), 300)


def no_piece(described):
    described["model"]["vocab"] = {}


def a_list_of_pieces(described):
    described["model"] = {"type": "Unigram", "unk_id": 0, "vocab": [["a", 0.0], ["b"]]}


def unknown_outside(described):
    described["model"] = {"type": "Unigram", "unk_id": 7, "vocab": [["a", 0.0]]}
    described["added_tokens"] = []


def panic(described):
    described["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": "AAAA"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda described: {}, "has no vocabulary"),
        (lambda described: {"model": []}, "has no vocabulary"),
        (no_piece, "has no vocabulary"),
        (put(-1), "has -1 for an id"),
        (put(10**30), "for an id"),
        (put("7"), "has '7' for an id"),
        (put(7.0), "has 7.0 for an id"),
        (put(True), "has True for an id"),
        (put(None), "has None for an id"),
        (put(2**24), "for an id"),
        (put(304), "another model's tokenizer"),
        (put(0), "two pieces the same id"),
        (lambda described: described["model"]["vocab"].update({"\ud800": 303}), "cannot be read: .*hex escape"),
        (a_list_of_pieces, "expected a string and a score"),
        (unknown_outside, "cannot be read: .*vocab"),
        (lambda described: described.update(added_tokens={}), "expected a list"),
        (lambda described: described.update(added_tokens=[7]), "expected a content"),
        (add(content=7), "expected a content"),
        (add(content="\ud800"), "cannot be read"),
        (add(special="no"), "whether 'new' is special"),
        (add(id=-1), "has -1 for an id"),
        (add(id=0), "two tokens with the id 0"),
        (add(id=302), "says that 'new' is 302, the tokenizers library reads 300"),
        (panic, "the tokenizers library breaks"),
        (lambda described: described.update(decoder={"type": "Nothing"}), "cannot be read"),
        (lambda described: described["model"].update(merges=["a b c"]), "cannot be read"),
    ],
)
def test_what_is_no_sound_tokenizer_is_refused(write, capfd, change, words):
    with pytest.raises(ImportRefused, match=words) as refusal:
        read_tokenizer(write(change), 304)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 400
    assert capfd.readouterr() == ("", "")  # the library writes its own last words


def test_size_and_depth_are_bounded(tmp_path):
    file = tmp_path / "tokenizer.json"
    for raw, words in (
        (b" " * (LARGEST + 1), "larger than 64 MB"),
        (b'{"model":' * 30_000, "nested deeper"),
        (b"[]" * 5_000_000, "more parts"),
        (b'{"a": "' + b"x" * 1000, "not JSON"),
    ):
        file.write_bytes(raw)
        with pytest.raises(ImportRefused, match=words):
            read_tokenizer(tmp_path, None)


def test_a_tokenizer_that_fills_the_memory_fills_that_of_another_process(write, monkeypatch):
    # Which of its two bounds ends it depends on the machine.
    monkeypatch.setattr(module, "OPINION_SECONDS", 3)

    def explode(described):
        tenfold = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 10}
        described["normalizer"] = {"type": "Sequence", "normalizers": [tenfold] * 12}
        add(content="a" * 10, normalized=True)(described)

    with pytest.raises(ImportRefused, match="cannot be read"):
        read_tokenizer(write(explode), None)


def test_the_library_is_not_waited_for_forever(write, monkeypatch):
    monkeypatch.setattr(module, "OPINION_SECONDS", 0.001)
    with pytest.raises(ImportRefused, match="was not done"):
        read_tokenizer(write(lambda described: None), None)


def test_modules_of_the_present_folder_are_not_imported(write, monkeypatch):
    folder = write(lambda described: None)
    for name in ("tokenizers", "json", "resource"):
        (folder / f"{name}.py").write_text("open('marker', 'w')")
    monkeypatch.chdir(folder)
    assert read_tokenizer(folder, None)
    assert not (folder / "marker").exists()


def test_what_is_accepted_can_be_opened(write):
    folder = write(add())
    read_tokenizer(folder, 304)
    assert Tokenizer.from_file(str(folder / "tokenizer.json")).id_to_token(300) == "new"
