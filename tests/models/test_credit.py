"""What is said of weights: read where it stands, and nothing that does not look like a name."""

import pytest

from app.models import demo
from app.models.credit import NONE, Credit, credit_of, gguf_credit, known_credit
from app.models.importing.published import SMOLLM2


@pytest.mark.parametrize(
    ("readme", "licence"),
    [
        ("---\nlicense: apache-2.0\nlanguage: en\n---\n# A model\n", "apache-2.0"),
        ('---\r\nlanguage: en\r\nlicense: "cc-by-sa-4.0"\r\n---\r\n', "cc-by-sa-4.0"),
        ("---\nlicense:\n- mit\n---\n", None),
        ("# A model\nlicense: mit\n", None),
        ("---\nlanguage: en\n---\nlicense: mit\n", None),
        ("---\nlicense: <script>alert(1)</script>\n---\n", None),
        ("---\nlicense: " + "a" * 65 + "\n---\n", None),
        ("---\nmodel:\n  license: mit\n---\n", None),
    ],
)
def test_a_licence_is_what_stands_before_the_readme(tmp_path, readme, licence):
    (tmp_path / "README.md").write_bytes(readme.encode())
    assert credit_of("local folder", tmp_path) == Credit(None, licence)
    assert credit_of("acme/Tiny-Llama", tmp_path) == Credit("acme/Tiny-Llama", licence)


def test_a_folder_without_a_readme_says_nothing(tmp_path):
    assert credit_of("local folder", tmp_path) == NONE
    (tmp_path / "README.md").mkdir()
    assert credit_of("local folder", tmp_path) == NONE


def test_what_is_known_beforehand_needs_no_folder(tmp_path):
    smollm2 = Credit("HuggingFaceTB/SmolLM2-135M-Instruct", "Apache-2.0")
    assert known_credit(SMOLLM2.origin) == smollm2
    file = tmp_path / "model.gguf"
    file.touch()
    assert credit_of(SMOLLM2.origin, file) == smollm2
    assert known_credit("demo") == credit_of("demo", demo.FOLDER) == Credit(None, "cc-by-sa-4.0")


@pytest.mark.parametrize(
    ("facts", "credit"),
    [
        ({"general.license": "apache-2.0"}, Credit(None, "apache-2.0")),
        ({"general.source.huggingface.repository": "acme/Tiny", "general.license": "mit"}, Credit("acme/Tiny", "mit")),
        ({"general.source.huggingface.repository": "https://evil.example/x", "general.license": 7}, NONE),
        ({"general.license": "a\nb"}, NONE),
        ({}, NONE),
    ],
)
def test_a_gguf_header_says_it(facts, credit):
    assert gguf_credit(facts) == credit


def test_what_is_known_goes_before_what_is_said():
    assert Credit("a/b", None).fill_from(Credit("c/d", "mit")) == Credit("a/b", "mit")
