import pytest
import torch
from safetensors.torch import save_file

from app.models.importing.folder.checkpoint import Checkpoint
from app.models.importing.folder.header import read_header
from app.models.importing.folder.stored_values import DTYPES, read_blocks, read_rows, read_tensor, refuse_unfinite
from app.models.refusal import ImportRefused

VALUES = {f"of {dtype}": (torch.arange(21).reshape(7, 3) % 2).to(dtype) for dtype in DTYPES.values()} | {
    "table": torch.arange(7 * 5, dtype=torch.float32).reshape(7, 5),
    "empty": torch.zeros(0, 5),
    "one": torch.tensor(3.5),
}


@pytest.fixture
def checkpoint(tmp_path):
    save_file(VALUES, tmp_path / "model.safetensors")
    return Checkpoint(tmp_path, {}, tuple(read_header(tmp_path / "model.safetensors")), b"{}")


@pytest.mark.parametrize("name", VALUES)
def test_a_tensor_is_read_as_it_was_written(checkpoint, name):
    read = read_tensor(checkpoint, checkpoint.tensor(name))
    assert read.dtype == VALUES[name].dtype
    assert torch.equal(read, VALUES[name])


@pytest.mark.parametrize("n_rows", [1, 2, 3, 7, 100])
def test_blocks_cover_the_rows_whether_or_not_their_number_divides(checkpoint, n_rows):
    blocks = list(read_blocks(checkpoint, checkpoint.tensor("table"), n_rows))
    assert [rows.start for rows, _values in blocks] == list(range(0, 7, n_rows))
    for rows, values in blocks:
        assert torch.equal(values, VALUES["table"][rows])
    assert blocks[-1][0].stop == 7


def test_rows_are_read_in_the_order_that_is_asked_for(checkpoint):
    rows = [6, 0, 3, 3]
    assert torch.equal(read_rows(checkpoint.tensor("table"), rows), VALUES["table"][rows])


def test_what_changed_after_the_fingerprint_is_refused(checkpoint):
    checkpoint.fingerprint()
    table = checkpoint.tensor("table")
    with table.file.open("r+b") as file:
        file.seek(table.start)
        file.write(b"\x01")
    for read in (lambda: read_tensor(checkpoint, table), lambda: list(read_blocks(checkpoint, table, 3))):
        with pytest.raises(ImportRefused, match="table is not what it was at first"):
            read()


def test_rows_of_a_file_that_was_cut_short_are_an_error_of_files(checkpoint):
    table = checkpoint.tensor("table")
    with table.file.open("r+b") as file:
        file.truncate(table.end - 2)
    assert torch.equal(read_rows(table, [5]), VALUES["table"][[5]])
    with pytest.raises(OSError, match="cut short while it was read"):
        read_rows(table, [5, 6])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_value_that_is_no_number_is_refused_wherever_it_stands(monkeypatch, value):
    monkeypatch.setattr("app.models.importing.folder.stored_values.PIECE", 4)
    refuse_unfinite("w", VALUES["table"])
    refuse_unfinite("w", VALUES["empty"])
    for at in (0, 33, 34):
        spoilt = VALUES["table"].clone()
        spoilt.view(-1)[at] = value
        with pytest.raises(ImportRefused, match="w holds values that are no numbers"):
            refuse_unfinite("w", spoilt)


def test_a_value_beyond_float32_is_refused():
    with pytest.raises(ImportRefused, match=r"w holds numbers of up to 1e\+39, beyond float32"):
        refuse_unfinite("w", torch.tensor([1e39, 0.0], dtype=torch.float64))
