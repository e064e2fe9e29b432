import pytest

from app.core.address import parse
from app.explorer.asking.views import check_view, largest_distance
from app.explorer.errors import BadOption
from app.explorer.visits.browse import Options
from app.models.token_filter import TokenFilter


def view(r, address, **options):
    address = parse(address)
    return check_view(r.library.model(address.model), address, Options(**options), "folded")


def test_the_operators_choice_is_shown_where_the_weights_have_it(relatives):
    assert view(relatives, "llama/L0").weights == "folded"
    assert view(relatives, "llama/L0", weights="raw").default_weights == "folded"
    encoder = view(relatives, "bert/L0")
    assert (encoder.weights, encoder.default_weights) == ("raw", "raw")
    assert view(relatives, "bert/L0", weights="raw") == encoder


def test_folding_an_encoder_is_refused_with_the_reason(relatives):
    with pytest.raises(BadOption, match=r"bert has weights=raw only\. .*norms stand after its attention"):
        view(relatives, "bert/L0/H0/ov", weights="folded")


@pytest.mark.parametrize("place", ["llama/L1/H2", "llama/L1/H2/qk", "llama/L1/H2/qk/svd", "llama/L1/H2/qk/svd/3"])
def test_a_distance_belongs_to_the_qk_of_a_rotary_model(relatives, place):
    assert view(relatives, place, distance=63).distance == 63


@pytest.mark.parametrize(
    ("place", "distance", "named"),
    [
        ("llama/L1/H2/qk", 64, "from 0 to 63"),
        ("llama/L1/H2/qk", -1, "from 0 to 63"),
        ("llama/L1/H2/ov", 1, "belongs to QK"),
        ("llama/L1/H2/ov/svd/0", 1, "belongs to QK"),
        ("llama/L1", 1, "belongs to QK"),
        ("llama", 1, "belongs to QK"),
        ("bert/L1/H2/qk", 1, "no rotary positions"),
        ("smollm3/L1/H2/qk", 1, "L1: this layer of smollm3 does not turn"),
    ],
)
def test_a_distance_that_means_nothing_names_what_does(relatives, place, distance, named):
    with pytest.raises(BadOption, match=named):
        view(relatives, place, distance=distance)


def test_the_farthest_is_a_text_long_and_at_most_1024(relatives, monkeypatch):
    model, address = relatives.library.model("llama"), parse("llama/L0/H0/qk")
    assert largest_distance(model, address) == 63
    monkeypatch.setattr("app.explorer.asking.views.LARGEST_DISTANCE", 16)
    assert largest_distance(model, address) == 16
    assert largest_distance(model, parse("llama/L0/H0")) == 16
    assert largest_distance(model, parse("llama/L0/H0/ov")) is None
    assert largest_distance(relatives.library.model("smollm3"), parse("smollm3/L1/H0/qk")) is None


def test_the_view_knows_the_layers_beside_it_that_do_not_turn(relatives):
    assert view(relatives, "smollm3/L0/H3/qk", distance=1).unrotated_layers == (1,)
    assert view(relatives, "llama/L0/H3/qk", distance=1).unrotated_layers == ()


@pytest.mark.parametrize("place", ["llama", "llama/L1"])
def test_tokens_are_chosen_where_tables_show_them(relatives, place):
    chosen = TokenFilter(ascii=True, frequent=3)
    with pytest.raises(BadOption, match="ascii, frequent: tokens are chosen at a head, a matrix or a direction"):
        view(relatives, place, token_filter=chosen)
    assert view(relatives, "llama/L1/H2", token_filter=chosen).token_filter == chosen


@pytest.mark.parametrize("place", ["tiny", "tiny/L1", "tiny/embed/nmf"])
def test_cosines_are_there_where_tables_are_read(explorer, place):
    chosen = TokenFilter(readout="cosine")
    with pytest.raises(BadOption, match="readout"):
        view(explorer, place, token_filter=chosen)
    for valid in ("tiny/L1/H2", "tiny/L1/H2/ov/svd/0", "tiny/L1/mlp-out", "tiny/embed/pca"):
        assert view(explorer, valid, token_filter=chosen).token_filter == chosen


@pytest.mark.parametrize(("frequent", "left"), [(80, 17), (99, 0)])
def test_a_filter_must_leave_some_tokens(relatives, frequent, left):
    with pytest.raises(BadOption, match=f"leaves {left} of 100 tokens: at least 20 are needed"):
        view(relatives, "llama/L1/H2", token_filter=TokenFilter(frequent=frequent))
    assert view(relatives, "llama/L1/H2", token_filter=TokenFilter(frequent=77)).token_filter.frequent == 77
