import numpy as np
import torch

from app.core.finding.alike import overlaps
from app.core.steps import run


def spans(n, r, d, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(n, d, r, generator=draw, dtype=torch.float64)).Q.mT


def test_they_are_squared_cosines_of_principal_angles():
    own = spans(4, 3, 12)
    found = run(overlaps(own)).numpy()
    for a in range(4):
        for b in range(4):
            cosines = np.linalg.svd(own[a].numpy() @ own[b].numpy().T, compute_uv=False)
            np.testing.assert_allclose(found[a, b], np.square(cosines).sum(), atol=1e-12)


def test_the_same_span_shares_all_of_it_however_its_rows_are_turned():
    own = spans(1, 3, 12)
    turned = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))).Q @ own
    np.testing.assert_allclose(run(overlaps(torch.cat([own, turned]))).numpy(), np.full((2, 2), 3.0), atol=1e-12)


def test_a_smaller_span_may_stand_with_rows_of_zeros():
    own = spans(2, 3, 12)
    own[1, 2] = 0
    np.testing.assert_allclose(run(overlaps(own)).diagonal().numpy(), [3, 2], atol=1e-12)
