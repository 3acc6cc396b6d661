"""The tolerances of each variant's difference from PyTorch, each with its reason."""

from dataclasses import dataclass

from onnxrank.artifact.manifest import Parity

LARGE = 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """Standard deviation and largest magnitude of the golden logits."""

    deviation: float
    largest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """Limits of a variant. If `relative`, `logit_difference` (from PyTorch) and `batch_effect` (of a pair's neighbours)
    are multiples of the golden logits' standard deviation, because models differ in the scale of their logits.
    Otherwise they are absolute for logits up to LARGE and grow in proportion to larger ones, such as MaxSim's sums. The
    other two limits concern the ranking."""

    logit_difference: float
    batch_effect: float
    relative: bool
    kendall_tau: float
    top1_agreement: float
    reason: str

    def problem(self, parity: Parity, golden: Scale) -> str | None:
        """Return a sentence about the first exceeded limit, or None. golden: the scale of the reference logits."""
        limit = self.logit_difference * self._unit(golden)
        # NaN compares false with everything; `not <=` makes it a problem.
        if not parity.max_logit_difference <= limit:
            return f"the largest logit difference is {parity.max_logit_difference:.3g}, and {limit:.3g} is allowed."
        if not parity.kendall_tau >= self.kendall_tau:
            return f"Kendall's tau is {parity.kendall_tau:.3f}, and {self.kendall_tau} is required."
        if not parity.top1_agreement >= self.top1_agreement:
            return f"top-1 agreement is {parity.top1_agreement:.2f}, and {self.top1_agreement} is required."
        return None

    def batch_problem(self, effect: float, golden: Scale) -> str | None:
        """Return a sentence if neighbours move a logit by more than is allowed, or None."""
        limit = self.batch_effect * self._unit(golden)
        if not effect <= limit:
            return f"a pair's neighbours move its logit by {effect:.3g}, and {limit:.3g} is allowed."
        return None

    def _unit(self, golden: Scale) -> float:
        return golden.deviation if self.relative else max(1.0, golden.largest / LARGE)


# Neighbours change the order of float32 sums, and so the last bit; where activations are rounded to 8 bits, some are
# then rounded to the other side: 0.001 deviations on the demo, 0.03 on random full-size weights. Scales that a whole
# batch shares move a logit by as much as quantization does.
_BATCH = 0.15

_Q4 = Tolerance(
    logit_difference=1.0, batch_effect=_BATCH, relative=True, kendall_tau=0.85, top1_agreement=0.8,
    reason="16 levels per weight: tau 0.96 and 0.2 deviations on the trained demo, 0.93 and 0.7 on random full-size "
    "weights, whose scores are closer together; a wrong layout or a lost scale gives a tau near 0",
)  # fmt: skip

TOLERANCES = {
    "fp32": Tolerance(
        logit_difference=1e-4, batch_effect=1e-4, relative=False, kendall_tau=0.99, top1_agreement=0.99,
        reason="another order of summation changes a logit by 1e-6 to 1e-5; more means different arithmetic",
    ),
    "fp16": Tolerance(
        logit_difference=0.05, batch_effect=0.05, relative=True, kendall_tau=0.98, top1_agreement=0.95,
        reason="11 bits of mantissa: tau 0.9995 and 0.003 deviations on the demo; an overflow gives NaN",
    ),
    "int8": Tolerance(
        logit_difference=0.25, batch_effect=_BATCH, relative=True, kendall_tau=0.95, top1_agreement=0.9,
        reason="256 levels per weight and activation: tau 0.99 and 0.03 deviations on the demo, 1.00 and 0.08 on "
        "random full-size weights",
    ),
    "q4": _Q4,
    "q4f16": _Q4,
}  # fmt: skip
