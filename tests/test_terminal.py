import logging
import sys

from app.terminal import PlainLines, ProgressLine

EVIL = "evil \x1b]0;owned\x07\x1b[31m\u202e\n"
SPELT = r"evil \x1b]0;owned\x07\x1b[31m\u202e\n"


def test_no_name_does_anything_to_the_log():
    try:
        raise ValueError(EVIL)
    except ValueError:
        record = logging.LogRecord("app", logging.ERROR, "", 0, "%s: a\nb\n", (EVIL.strip(),), sys.exc_info())
    message, *traceback = PlainLines().format(record).split("\n")
    assert message == rf"{SPELT.removesuffix(chr(92) + 'n')}: a\nb"
    assert traceback[0] == "  Traceback (most recent call last):"
    assert rf"  ValueError: {SPELT.removesuffix(chr(92) + 'n')}" in traceback
    assert all(line.startswith("  ") and line.isprintable() for line in traceback)


def test_progress_on_a_terminal_is_one_line(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "120")
    line = ProgressLine()
    for i in range(1, 4):
        line.show(f"{i} files read", i, 3)
    line.clear()
    shown = capsys.readouterr().err
    assert "\n" not in shown
    assert [part.removeprefix("\x1b[K") for part in shown.split("\r")] == [
        "",
        "██████░░░░░░░░░░░░░░  33% 1 files read",
        "█████████████░░░░░░░  67% 2 files read",
        "████████████████████ 100% 3 files read",
        "",
    ]


def test_progress_on_a_narrow_terminal_stays_on_its_line(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    ProgressLine().show("words and words and words", 1, 2)
    assert len(capsys.readouterr().err.removeprefix("\r\x1b[K")) == 39
