"""Which pages open at once, asked of more models than any fixed number."""

import gc
import weakref

from app.core.address import CIRCUITS, parse
from app.explorer import recipes
from app.explorer.asking.places import locate_model
from app.explorer.library import OpenModel
from app.explorer.reading import coverage


def test_paths_are_hashed_once_a_model_however_many_there_are(explorer, monkeypatch):
    hashed = []
    usual = recipes.decomposition
    monkeypatch.setattr(recipes, "decomposition", lambda *words: hashed.append(words) or usual(*words))
    tiny = locate_model(explorer, parse("tiny"))
    models = [OpenModel(f"tiny-{i}", tiny.manifest, tiny.folder) for i in range(30)]
    for _visit in range(3):
        for model in models:
            for processing in ("raw", "folded"):
                assert len(coverage.find_computed_heads(explorer, model, processing)) == 2
                for pin in (None, tiny.fingerprint[:8], tiny.fingerprint[:9]):
                    address = parse(model.header.slug).with_pin(pin)
                    layer = coverage.list_matrices(explorer, model, processing, address.at_layer(1))
                    assert [place.address for place in layer] == [
                        address.at_layer(1).at(kind) for kind in tiny.header.layer_kinds
                    ]
                    assert len(coverage.list_matrices(explorer, model, processing, address)) == len(
                        tiny.header.model_kinds
                    )
    each = 2 * 4 * len(CIRCUITS) + 2 * len(tiny.header.layer_kinds) + len(tiny.header.model_kinds)
    assert len(hashed) == 30 * 2 * each


def test_what_is_kept_is_where_the_store_says(open_explorer, fresh_data):
    r = open_explorer(fresh_data)
    tiny = locate_model(r, parse("tiny"))

    def kept_places():
        above = (parse("tiny"), parse("tiny/L0"), parse("tiny/L1"))
        return {
            str(one.address) for each in above for one in coverage.list_matrices(r, tiny, "raw", each) if one.is_kept
        }

    def kept_heads():
        rows = coverage.find_computed_heads(r, tiny, "raw")
        return {(layer, head) for layer, row in enumerate(rows) for head, is_kept in enumerate(row) if is_kept}

    for name in ("tiny/L1/mlp-in", "tiny/embed"):
        path = r.store.path(recipes.decomposition(tiny, parse(name), "raw", {}))
        path.parent.mkdir(parents=True)
        path.touch()
        assert kept_places() == {name}
        path.unlink()
        assert kept_places() == set()
    paths = [r.store.path(recipes.matrix(tiny, 1, 2, circuit, "raw")) for circuit in CIRCUITS]
    for path in paths:
        assert kept_heads() == set()
        path.parent.mkdir(parents=True)
        path.touch()
    assert kept_heads() == {(1, 2)}
    paths[0].unlink()
    assert kept_heads() == set()


def test_a_model_that_is_closed_is_forgotten(explorer):
    tiny = locate_model(explorer, parse("tiny"))
    model = OpenModel("tiny-0", tiny.manifest, tiny.folder)
    coverage.find_computed_heads(explorer, model, "raw")
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
