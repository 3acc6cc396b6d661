"""The limits of each variant's difference from PyTorch, each with its reason.

What is beyond a limit of `wrong` and `batch_problem` is another computation, which no option accepts. What is beyond
that of `loss` ranks less like PyTorch than the variant should, and the user may accept it.
"""

import math
from dataclasses import dataclass

from onnxrank.artifact.manifest import Parity

# Logits beyond this may differ in proportion to their size.
LARGE = 50.0
# float32's own noise: sums in another order differ by 1e-6 to 1e-5. Pairs of a query that are closer are ties.
EXACT = 1e-4
# What a difference between two documents may become. Rounding leaves it 1 on average, however coarse; rows in another
# order make it 0, and a lost scale one over the levels of a weight, 1/7 and less, or as many times as large.
GAIN = (1 / 3, 3.0)
# The largest difference of one pair within its query, over the root mean square of all. Rounding gives 3 to 6; one text
# of two hundred that is computed wrongly gives up to 14. It counts from half a deviation, which a ranking would show.
OUTLIER, SHOWING = 8.0, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """deviation: the root mean square of the golden logits' differences from their query's mean. largest: magnitude of
    the logits."""

    deviation: float
    largest: float

    @property
    def unit(self) -> float:
        """What an absolute limit is a multiple of: 1, and more for logits beyond LARGE, such as MaxSim's sums."""
        return max(1.0, self.largest / LARGE)

    @property
    def tie(self) -> float:
        """The difference of two logits that PyTorch itself might have in another order."""
        return EXACT * self.unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """Limits of a variant. logit_difference: from PyTorch, in logits; None for a variant that rounds weights, whose
    difference depends on the model. noise: that needs no permission; see `Parity`; None where logit_difference says
    it all. batch_effect: of a pair's neighbours and padding, in logits where logit_difference is given, else in
    deviations within a query."""

    logit_difference: float | None
    noise: float | None
    batch_effect: float
    reason: str

    def wrong(self, parity: Parity, golden: Scale) -> str | None:
        """Return a sentence if these are not the model's scores, or None. golden: the scale of the reference."""
        low, high = GAIN
        strays = parity.outlier * parity.noise.mean
        if not math.isfinite(parity.max_logit_difference):
            return "a logit is NaN or infinite."
        if self.logit_difference is not None:
            limit = self.logit_difference * golden.unit
            if parity.max_logit_difference > limit:
                return f"the largest logit difference is {parity.max_logit_difference:.3g}, and {limit:.3g} is allowed."
        # The whole interval, because noise alone moves the gain of scores that lie close together.
        elif parity.gain.high < low or parity.gain.low > high:
            return (
                f"a difference between two documents becomes {parity.gain.mean:.2g} times PyTorch's, and {low:.2g} to "
                f"{high:.2g} is allowed: a scale is lost, or rows are in another order."
            )
        elif parity.outlier > OUTLIER and strays > SHOWING:
            return (
                f"one pair strays by {strays:.2g} deviations, {parity.outlier:.2g} times the root mean square of all, "
                f"and {OUTLIER:.2g} is allowed."
            )
        return None

    def loss(self, parity: Parity, golden: Scale) -> str | None:
        """Return a clause if the variant ranks less like PyTorch than it should, or None."""
        if self.noise is None or parity.noise.mean <= self.noise:
            return None
        found = parity.noise
        return (
            f"noise is {found.mean:.2g} [{found.low:.2g}, {found.high:.2g}] of the scores' deviation within a query, "
            f"which is {golden.deviation:.2g}, and {self.noise} is allowed; Kendall's tau is {parity.kendall_tau:.2f} "
            f"and top-1 agreement {parity.top1_agreement:.0%}"
        )

    def batch_problem(self, effect: float, golden: Scale, difference: float) -> str | None:
        """Return a sentence if neighbours move a logit by more than is allowed, or None.

        difference: the largest from PyTorch. Where rounding outweighs the deviation of scores that lie close together,
        what it does to the batch may be half of what it does at all.
        """
        exact = self.logit_difference is not None
        limit = self.batch_effect * golden.unit if exact else max(self.batch_effect * golden.deviation, difference / 2)
        # NaN compares false with everything; `not <=` makes it a problem.
        if not effect <= limit:
            return f"a pair's neighbours or padding move its logit by {effect:.3g}, and {limit:.3g} is allowed."
        return None


# Neighbours change the order of float32 sums, and so the last bit; where activations are rounded to 8 bits, some are
# then rounded to the other side: 0.001 deviations on the demo, 0.03 on random full-size weights. Scales that a whole
# batch shares move a logit by as much as quantization does.
_BATCH = 0.15

_Q4 = Tolerance(
    logit_difference=None, noise=0.3, batch_effect=_BATCH,
    reason="16 levels per weight: 0.13 on a model of 135M; at 0.3 about one pair of documents in ten changes places",
)  # fmt: skip

TOLERANCES = {
    "fp32": Tolerance(
        logit_difference=EXACT, noise=None, batch_effect=EXACT,
        reason="another order of summation changes a logit by 1e-6 to 1e-5; more means different arithmetic",
    ),
    "fp16": Tolerance(
        logit_difference=None, noise=0.02, batch_effect=0.05,
        reason="11 bits of mantissa: 0.001 on the demo; an overflow gives NaN",
    ),
    "int8": Tolerance(
        logit_difference=None, noise=0.1, batch_effect=_BATCH,
        reason="256 levels per weight and activation: 0.01 on the demo; PyTorch's bfloat16, which GPUs run, loses 0.07 "
        "on a model with pre-trained weights",
    ),
    "q4": _Q4,
    "q4f16": _Q4,
}  # fmt: skip

# How far another device may be from the logits in device_check.json, in standard deviations of the golden logits.
# float32 differed by 1e-5. 4 and 8 bits round activations, so that the order of a sum counts: by up to 0.05, on random
# weights. The broken kernels that were seen differ by 0.5 and more.
DEVICE_DIFFERENCE = {"fp32": 0.01, "fp16": 0.15, "int8": 0.15, "q4": 0.15, "q4f16": 0.15}
# How far it may be from PyTorch's in golden.json: as far as from the export's, and this much of the difference that the
# export measured.
EXPORT_MARGIN = 1.1
