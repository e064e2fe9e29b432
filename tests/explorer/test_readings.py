"""A made-up vocabulary with rays that are themes, one word, spelled alike, or no words: each is called what it is."""

import itertools
import random
import string

import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from torch.nn.functional import normalize

from app.core.exact.readout import read, token_table
from app.core.judging.coherence import lexicon, shared_components
from app.core.judging.forms import forms_of
from app.core.judging.rays import ALPHA, HEADLINE, READINGS
from app.core.judging.spelling import traits
from app.explorer.making.judging import readability
from app.explorer.making.judging.controls import Control, Judge, measure_rays

D_MODEL, N_RANDOM, N_EACH = 128, 1_000, 6
N_SHARED = D_MODEL // 16
"""Directions that all tokens share: as many as are taken out before tokens are compared."""


def spelt(word):
    """A word in all its spellings."""
    cases = (word, word.title(), word.upper())
    return [space + case for space, case in itertools.product(("", " ", "  ", "\n"), cases)]


class World:
    """Texts, their vectors, and a direction for each planted ray."""

    def __init__(self, seed):
        self.letters, self.draw = random.Random(seed), np.random.default_rng(seed)
        self.basis = np.linalg.qr(self.draw.normal(size=(D_MODEL, D_MODEL)))[0].T
        self.texts, self.vectors, self.directions = [], [], {}
        for _ in range(3_000):  # words that belong to nothing, some of them in two spellings
            word = self.word()
            self.add([word, f" {word.title()}"][: 1 + (self.letters.random() < 0.3)], self.vector())
        for _ in range(N_EACH):
            self.plant("theme", [[self.word()] for _ in range(40)])
            self.plant("one word", [spelt(self.word()), spelt(self.word())])
            start = self.word()[:3]
            self.plant("spelling", [[start + self.word()] for _ in range(40)])
            marks = ["".join(self.letters.choices(string.punctuation + " ", k=6)) for _ in range(40)]
            self.plant("letterless", [[mark] for mark in marks])

    def word(self):
        return "".join(self.letters.choices(string.ascii_lowercase, k=6))

    def vector(self):
        """Of what not all tokens share."""
        return self.draw.normal(size=D_MODEL - N_SHARED) @ self.basis[N_SHARED:]

    def add(self, texts, vector):
        self.texts += texts
        shared = 4 * self.draw.normal(size=(len(texts), N_SHARED)) @ self.basis[:N_SHARED]
        self.vectors += [vector + 0.4 * self.vector() + own for own in shared]

    def plant(self, kind, words):
        """A direction that these words have in common."""
        common = self.vector()
        for texts in words:
            self.add(texts, 0.7 * self.vector() + 1.2 * common)
        self.directions.setdefault(kind, []).append(common)

    def judge(self):
        vectors = torch.tensor(np.array(self.vectors), dtype=torch.float32)
        table, every = token_table(vectors), torch.ones(len(vectors), dtype=torch.bool)
        forms = forms_of(self.texts)
        words = lexicon(table.vectors, every, *shared_components(table.vectors, every))
        return Judge(table, words, torch.from_numpy(forms.codes), traits(forms.texts))


def rays_of(judge, directions):
    """The tokens [n 2 50] that they read."""
    found = read(judge.table, normalize(directions.float(), dim=1), 50)
    return {"top_ids": found.top_ids.numpy().astype(np.int32), "bottom_ids": found.bottom_ids.numpy().astype(np.int32)}


@pytest.fixture(scope="module", params=[0, 1])
def judged(request):
    """What is said of the + rays of each kind, and of random ones."""
    world = World(request.param)
    judge = world.judge()
    drawn = torch.randn(N_RANDOM, D_MODEL, generator=torch.Generator().manual_seed(9))
    readout = rays_of(judge, drawn)
    random_ = measure_rays(judge, np.stack([readout["top_ids"], readout["bottom_ids"]], axis=1))
    control = Control(judge, *(random_[name] for name in ("coherence", "forms", "beyond", "spelling")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(readability, "load_control", lambda context, side: control)
        found = {
            kind: readability.judge_readouts(None, "write", rays_of(judge, torch.tensor(np.array(directions))))
            for kind, directions in world.directions.items()
        }
    return {kind: {name: array[:, 0] for name, array in own.items() if array.ndim > 1} for kind, own in found.items()}


@pytest.mark.parametrize("kind", ["theme", "one word", "spelling", "letterless"])
def test_planted_rays_are_called_what_they_are(judged, kind):
    called = [READINGS[code] for code in judged[kind]["reading"]]
    assert called.count(kind) >= N_EACH - 1
    assert (judged[kind]["p"][:, HEADLINE] < ALPHA).all()


def area(some, others):
    """How often one of some is larger than one of the others."""
    ranks = rankdata(np.concatenate([some, others]))[: len(some)]
    return (ranks.sum() - len(some) * (len(some) + 1) / 2) / (len(some) * len(others))


def test_forms_tell_a_theme_from_one_word_where_tokens_do_not(judged):
    theme, word = judged["theme"], judged["one word"]
    told = np.isfinite(word["forms_z"])
    assert area(theme["forms_z"], word["forms_z"][told]) > 0.98
    assert (word["forms_p"][told] >= ALPHA).mean() > 0.7
    assert told.sum() >= N_EACH / 2
    assert (theme["forms_p"] < ALPHA).all()
    assert (word["p"][:, HEADLINE] < ALPHA).all()


def test_what_is_left_beyond_spelling_tells_a_theme_from_spelling(judged):
    assert (judged["theme"]["beyond_p"] < ALPHA).all()
    assert (judged["theme"]["beyond_share"] > 0.8).all()
    assert (judged["spelling"]["beyond_p"] < ALPHA).mean() < 0.2
    assert (judged["spelling"]["forms_p"] < ALPHA).all()
