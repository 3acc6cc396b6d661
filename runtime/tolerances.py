"""How far each variant may stray from PyTorch: the one table of gates, each with its reason."""

from dataclasses import dataclass

from onnxrank.manifest import Parity


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """`logit_difference` is absolute for fp32 and otherwise a multiple of the golden logits' standard deviation,
    because the scale of logits is a model's own. The other two limits are what ranking needs."""

    logit_difference: float
    relative: bool
    kendall_tau: float
    top1_agreement: float
    reason: str

    def problem(self, parity: Parity, spread: float) -> str | None:
        """Return what is out of bounds, in words, or None."""
        limit = self.logit_difference * (spread if self.relative else 1.0)
        # Written so that NaN, which compares false with everything, is a problem.
        if not parity.max_logit_difference <= limit:
            return f"the largest logit difference is {parity.max_logit_difference:.3g}, and {limit:.3g} is allowed."
        if not parity.kendall_tau >= self.kendall_tau:
            return f"Kendall's tau is {parity.kendall_tau:.3f}, and {self.kendall_tau} is required."
        if not parity.top1_agreement >= self.top1_agreement:
            return f"top-1 agreement is {parity.top1_agreement:.2f}, and {self.top1_agreement} is required."
        return None


TOLERANCES = {
    "fp32": Tolerance(
        logit_difference=1e-4, relative=False, kendall_tau=0.99, top1_agreement=0.99,
        reason="another order of summation moves a logit by 1e-6 to 1e-5; more means other arithmetic",
    ),
    **{n: Tolerance(logit_difference=1e9, relative=True, kendall_tau=-1, top1_agreement=0, reason="measuring") for n in ("fp16","int8","q4","q4f16")},
}  # fmt: skip
