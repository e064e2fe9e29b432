"""What the measures say, all together, of directions that are known: planted ones are found, random ones are not.

The vocabulary and the matrices are those of `benchmarks/planted.py`; noise is told in lengths of the planted direction.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
from scipy.stats import kstest, rankdata

from app.core.bases.svd import decompose_all
from app.core.exact.readout import TokenTable, read, token_table
from app.core.judging.coherence import Lexicon, coherence, lexicon, shared_components
from app.core.judging.collapse import is_trained
from app.core.judging.rays import HEADLINE, RAY_CLASSES, classify_directions
from app.core.judging.significance import compare_to_control
from app.core.matrix import READ, WRITE, Matrix
from benchmarks.planted import D_MODEL, RANK, Planted, Vocabulary, draw_vocabulary, plant_matrix

SEEDS = range(5)
NOISE = 2.0
"""The right directions of a matrix then have a cosine of about .45 with those that were planted."""
RANDOM = 2_000
N_MATRICES = 500
TOLERANCE = 0.02
"""Of a matrix's 64 directions, those that may get another class: 1% of rays without a cluster pass for one with one."""


@dataclass(frozen=True)
class Judge:
    """A vocabulary, and what random directions are like there."""

    words: Vocabulary
    table: TokenTable
    lexicon: Lexicon
    control: np.ndarray

    def measure(self, vectors: torch.Tensor) -> np.ndarray:
        """Of both rays: [n 2]."""
        found = read(self.table, vectors)
        ends = [coherence(self.table, self.lexicon, ids) for ids in (found.top_ids, found.bottom_ids)]
        return torch.stack(ends, dim=1)[..., HEADLINE].numpy()

    def p(self, measured: np.ndarray) -> np.ndarray:
        return compare_to_control(measured, self.control.flatten())[1]


@pytest.fixture(scope="module")
def judge_of():
    @cache
    def build(seed: int) -> Judge:
        words = draw_vocabulary(seed)
        table, trained = token_table(words.vectors), is_trained(words.vectors)
        assert trained.all()
        found = lexicon(table.vectors, trained, *shared_components(table.vectors, trained))
        empty = Judge(words, table, found, np.zeros((0, 2)))
        random = torch.randn(RANDOM, D_MODEL, generator=torch.Generator().manual_seed(10_000))
        return Judge(words, table, found, empty.measure(random))

    return build


def measured(judge: Judge, given: Planted) -> np.ndarray:
    """Of both rays of each right direction, its sign the planted one's."""
    (terms,) = decompose_all([given.matrix])
    assert len(terms.right) == RANK
    signs = (terms.right * given.directions).sum(dim=1).sign()
    return judge.measure(terms.right * signs[:, None])


def area(some: np.ndarray, others: np.ndarray) -> float:
    """How often one of some is larger than one of the others."""
    ranks = rankdata(np.concatenate([some, others]))[: len(some)]
    return float((ranks.sum() - len(some) * (len(some) + 1) / 2) / (len(some) * len(others)))


@pytest.mark.parametrize("seed", SEEDS)
def test_planted_rays_are_told_from_random_ones(judge_of, seed):
    judge = judge_of(seed)
    given = plant_matrix(judge.words, NOISE, seed)
    found = measured(judge, given)
    rays = np.concatenate([found[:, 0], found[~given.is_one_sided.numpy(), 1]])
    assert area(rays, judge.control.flatten()) >= 0.95
    # The rays that point at nothing say no more than random ones.
    assert area(found[given.is_one_sided.numpy(), 1], judge.control.flatten()) < 0.6


def test_more_noise_is_harder_to_see_through(judge_of):
    judge = judge_of(0)
    found = [measured(judge, plant_matrix(judge.words, noise, 0))[:, 0] for noise in (0.0, 2.0, 3.0, 4.0, 8.0)]
    areas = [area(rays, judge.control.flatten()) for rays in found]
    assert areas == sorted(areas, reverse=True)
    assert areas[0] == 1
    assert areas[-1] < 0.65


def test_classes_of_planted_directions(judge_of):
    right = 0
    for seed in SEEDS:
        judge = judge_of(seed)
        given = plant_matrix(judge.words, 1.0, seed)
        found = measured(judge, given)
        apart, control_apart = (np.abs(np.diff(each)[:, 0]) for each in (found, judge.control))
        p = judge.p(found)
        names = np.array(RAY_CLASSES)[
            classify_directions(p[:, 0], p[:, 1], compare_to_control(apart, control_apart)[1])
        ]
        right += int((names == np.where(given.is_one_sided, "one-sided", "antipodal")).sum())
    assert right >= (1 - TOLERANCE) * RANK * len(SEEDS)


def test_of_random_weights_p_is_uniform(judge_of):
    """One ray a matrix: those of one matrix are orthogonal to each other, so they are not as if drawn one by one."""
    judge, draw = judge_of(0), torch.Generator().manual_seed(10_001)
    factors = [
        (torch.randn(D_MODEL, 8, generator=draw), torch.randn(8, D_MODEL, generator=draw)) for _ in range(N_MATRICES)
    ]
    terms = decompose_all([Matrix(pair, READ, WRITE) for pair in factors])
    chosen = torch.randint(8, (N_MATRICES,), generator=draw).tolist()
    found = judge.measure(torch.stack([one.right[at] for one, at in zip(terms, chosen, strict=True)]))
    rays = found[np.arange(N_MATRICES), torch.randint(2, (N_MATRICES,), generator=draw).numpy()]
    p = judge.p(rays)
    assert kstest(p, "uniform").pvalue > 0.01
    # And it is a test: were random rays measured as planted ones are, it would say so.
    assert kstest(judge.p(measured(judge, plant_matrix(judge.words, 3.0, 0))[:, 0]), "uniform").pvalue < 0.01


def test_of_random_weights_classes_are_as_rare_as_they_should_be(judge_of):
    """About 2 in 100 directions have a significant ray."""
    judge = judge_of(0)
    found = judge.measure(torch.randn(2_000, D_MODEL, generator=torch.Generator().manual_seed(10_002)))
    p = judge.p(found)
    apart, control_apart = (np.abs(np.diff(each)[:, 0]) for each in (found, judge.control))
    names = np.array(RAY_CLASSES)[classify_directions(p[:, 0], p[:, 1], compare_to_control(apart, control_apart)[1])]
    shares = {name: float((names == name).mean()) for name in ("one-sided", "antipodal", "neither")}
    assert 0.96 < shares["neither"] < 0.99
    assert shares["one-sided"] < 0.03
    assert shares["antipodal"] < 0.005
