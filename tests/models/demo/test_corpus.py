import lzma

import pytest

from app.models.demo.corpus import heldout_file, read_documents, training_files


def test_documents_of_all_files_in_order(tmp_path):
    texts = {"train-01.txt.xz": "é one\n<|endoftext|>\n\n  \n<|endoftext|>\ntwo\nlines\n", "train-02.txt.xz": "three"}
    for name, text in texts.items():
        with lzma.open(tmp_path / name, "wt", encoding="utf-8") as file:
            file.write(text)
    (tmp_path / "valid.txt.xz").touch()
    files = training_files(tmp_path)
    assert [file.name for file in files] == sorted(texts)
    assert list(read_documents(files)) == ["é one", "two\nlines", "three"]
    assert heldout_file(tmp_path) == tmp_path / "valid.txt.xz"


def test_a_folder_without_text(tmp_path):
    with pytest.raises(ValueError, match="no train"):
        training_files(tmp_path)
    with pytest.raises(ValueError, match=r"no valid\.txt\.xz"):
        heldout_file(tmp_path)
