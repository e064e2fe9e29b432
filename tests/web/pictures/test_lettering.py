"""Letters of pictures: which there are, how wide, and what stands for those that no font has."""

import shutil
import unicodedata

import pytest

from app.web.pictures.lettering import SHIPPED, Lettering, find_fonts

TWELVE = {
    "Latin": "naïve Œuvre",
    "Greek": "κόσμος",
    "Cyrillic": "привет",
    "Arabic": "السلام",
    "Hebrew": "שלום",
    "Devanagari": "नमस्ते",
    "Bengali": "নমস্কার",
    "Tamil": "வணக்கம்",
    "Thai": "สวัสดี",
    "Georgian": "გამარჯობა",
    "Armenian": "բարև",
    "Vietnamese": "tiếng Việt",
}


@pytest.fixture(scope="module")
def letters():
    return find_fonts(folders=())


@pytest.mark.parametrize("script", TWELVE)
def test_twelve_scripts_have_letters_of_their_own(letters, script):
    assert letters.spell(TWELVE[script]) == TWELVE[script]
    assert letters.measure(TWELVE[script], 10) > 0


def test_what_no_font_has_is_named_by_its_code_point(letters):
    assert letters.spell("a中·") == "aU+4E2D·"
    assert letters.spell("😀") == "U+1F600"
    assert "\u0007" not in letters.spell("\u0007")


def test_widths_are_those_of_the_first_file_that_has_the_letter(letters):
    from fontTools.ttLib import TTFont

    with TTFont(SHIPPED / "NotoSans-Regular.ttf") as font:
        glyph, size = font.getBestCmap()[ord("W")], font["head"].unitsPerEm
        expected = font["hmtx"].metrics[glyph][0] / size
    assert letters.measure("WW", 20) == pytest.approx(40 * expected)


def test_a_cut_text_fits_and_ends_with_an_ellipsis(letters):
    text = "W" * 50
    cut = letters.cut(text, 20, 200)
    assert cut.endswith("…")
    assert letters.measure(cut, 20) <= 200 < letters.measure(cut[:-1] + "W…", 20)
    assert letters.cut("Wi", 20, 200) == "Wi"


def test_fonts_of_the_machine_are_used_by_name_alone(tmp_path):
    shutil.copy(SHIPPED / "NotoSansThai-Regular.ttf", tmp_path / "NotoSansSinhala-Regular.ttf")
    (tmp_path / "NotoSansEvil-Regular.ttf").write_bytes(b"no font")
    own = tmp_path / "own"
    own.mkdir()
    shutil.copy(SHIPPED / "NotoSans-Regular.ttf", own)
    found = find_fonts(own, (tmp_path,))
    assert [path.name for path in found.files] == ["NotoSans-Regular.ttf", "NotoSansSinhala-Regular.ttf"]
    assert found.spell("ส") == "ส"
    assert Lettering((own / "NotoSans-Regular.ttf",)).spell("ส") == "U+0E2A"


def test_a_text_needs_the_files_of_its_letters_alone(letters):
    names = [[path.name for path in letters.files_of(text)] for text in ("plain", "шалом שלום", "中")]
    always = ["NotoSans-Regular.ttf", "NotoSans-Bold.ttf"]
    assert names == [always, [*always, "NotoSansHebrew-Regular.ttf"], always]


def test_spaces_are_no_boxes(letters):
    assert letters.spell(" \u00a0\u2003") == " \u00a0\u2003"
    assert all(unicodedata.category(one) == "Zs" for one in " \u00a0\u2003")
