"""The measures of ranking fidelity, against other libraries, values computed by hand and properties."""

import numpy as np
import pytest

from onnxrank.quality.fidelity import difference


def test_difference_pairs_the_queries() -> None:
    rng = np.random.default_rng(1)
    reference = rng.random(200)
    found = difference(reference, reference + 0.01)
    # The queries' own spread cancels.
    assert (found.mean, found.low, found.high) == pytest.approx((0.01, 0.01, 0.01))
    noisy = difference(reference, reference + rng.normal(0.0, 0.1, 200))
    assert noisy.low < noisy.mean < noisy.high
    # Of a mean's standard error, 95 % is 1.96 on either side.
    assert noisy.high - noisy.low == pytest.approx(2 * 1.96 * 0.1 / np.sqrt(200), rel=0.15)
