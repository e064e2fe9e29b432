import pytest

from app.core.finding.precedence import read_time, write_time

L = 4


def reads(writer, a, reader, b, *, side_by_side=False):
    return write_time(writer, a) <= read_time(reader, b, L, side_by_side=side_by_side)


@pytest.mark.parametrize("writer", ["ov", "mlp-out"])
@pytest.mark.parametrize("reader", ["ov", "qk"])
def test_attention_reads_what_earlier_layers_wrote(writer, reader):
    assert [[reads(writer, a, reader, b) for b in range(L)] for a in range(L)] == [
        [a < b for b in range(L)] for a in range(L)
    ]


@pytest.mark.parametrize("reader", ["mlp-in", "mlp-gate"])
def test_an_mlp_reads_its_own_layers_attention_too_unless_they_run_side_by_side(reader):
    for a in range(L):
        for b in range(L):
            assert reads("ov", a, reader, b) == (a <= b)
            assert reads("ov", a, reader, b, side_by_side=True) == (a < b)
            assert reads("mlp-out", a, reader, b) == (a < b)


@pytest.mark.parametrize("reader", ["ov", "qk", "mlp-in", "unembed"])
def test_all_read_the_embedding_and_the_unembedding_reads_all(reader):
    assert reads("embed", -1, reader, 0)
    assert all(reads(writer, L - 1, "unembed", L) for writer in ("ov", "mlp-out"))


def test_who_does_not_write_or_read_is_refused():
    with pytest.raises(ValueError, match="qk writes nothing"):
        write_time("qk", 0)
    with pytest.raises(ValueError, match="mlp-out reads nothing"):
        read_time("mlp-out", 0, L)
