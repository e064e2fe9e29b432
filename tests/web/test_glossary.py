import re
from pathlib import Path
from typing import get_args

from app.core.scores import SCORES
from app.explorer.pages import Note
from app.web.glossary import NOTES, TERMS, score_key, score_name

TEMPLATES = Path(__file__).parents[2] / "templates"


def test_every_score_has_its_sentence(client):
    page = client.get("/api/v1/tiny").json()
    assert {"copying", "ov-top", "qk-stable-rank"} <= set(page["map"]["scores"])
    assert all(TERMS[score_key(score)].sentence for score in page["map"]["scores"])
    assert len({score_name(score) for score in page["map"]["scores"]}) == len(page["map"]["scores"])
    assert set(SCORES) <= set(TERMS)


def test_every_note_has_its_sentence():
    assert set(get_args(Note)) == set(NOTES)


def test_templates_use_words_that_are_there_and_every_word_is_used():
    source = "\n".join(path.read_text(encoding="utf-8") for path in TEMPLATES.rglob("*.html"))
    named = set(re.findall(r"""(?:term|fact)\("([^"]+)\"""", source)) | set(re.findall(r'terms\["([^"]+)"\]', source))
    assert named - set(TERMS) == set()
    # read, write, ov … come from values; the rest must be named somewhere or be a score.
    by_value = {
        "read",
        "write",
        "query",
        "key",
        "ov",
        "qk",
        "folded",
        "raw",
        "key-bias",
        "subspace",
        "close",
        "copying",
    }
    assert set(TERMS) - named - by_value - set(SCORES) == set()


def test_sentences_are_sentences():
    for term in TERMS.values():
        assert term.sentence.endswith(".")
        assert not term.more or term.more.endswith(".")
