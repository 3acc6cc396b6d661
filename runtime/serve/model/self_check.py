"""What a model must give on this device, so that a server with a broken kernel or a damaged file never gets ready."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxrank.artifact.device_check import DeviceCheck
from onnxrank.artifact.golden import read_golden
from onnxrank.artifact.manifest import DEVICE_CHECK, GOLDEN
from onnxrank.artifact.opening import Artifact
from onnxrank.artifact.schema import SchemaError, parse, read
from onnxrank.engine.pair_scorer import GraphKind
from onnxrank.errors import ArtifactError, one_line
from onnxrank.proof.tolerances import DEVICE_DIFFERENCE, EXPORT_MARGIN

# Pairs of golden.json that are enough for a model without device_check.json.
FEW = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """Pairs, and what the export gave for them. logits: float32 [pairs]. allowed: how far another device may be."""

    pairs: tuple[tuple[str, str], ...]
    logits: NDArray[np.float32]
    allowed: float

    def problem(self, logits: NDArray[np.float32]) -> str | None:
        """Return what is wrong with a device's logits, or None."""
        difference = float(np.abs(logits - self.logits).max())
        # NaN compares false with everything; `not <=` makes it a problem.
        if not difference <= self.allowed:
            return f"a logit differs by {difference:.3g} from the export's, and {self.allowed:.3g} is allowed"
        return None


def recorded(artifact: Artifact, variant: str, graph: GraphKind) -> Recorded:
    """Return what the artifact records for a graph: device_check.json's logits, or for an embedder PyTorch's, which it
    may differ from as far as the export did. Raises ArtifactError if the file is missing or malformed."""
    if artifact.manifest.scoring.opened_with == "Embedder":
        return _golden(artifact, variant)
    artifact.fetch(DEVICE_CHECK)
    path = artifact.folder / DEVICE_CHECK
    try:
        check = read(DeviceCheck, parse(path.read_text(encoding="utf-8")))
        rows = (check.prefix if graph == "prefix" else check.padded)[variant]
    except (OSError, ValueError, SchemaError, KeyError) as error:
        raise ArtifactError(f"{path} cannot be read ({one_line(error)}); export the artifact again.") from error
    return Recorded(
        pairs=tuple((pair.query, pair.document) for pair in check.pairs),
        logits=np.array([row[0] for row in rows], np.float32),
        allowed=check.deviation[0] * DEVICE_DIFFERENCE[variant],
    )


def _golden(artifact: Artifact, variant: str) -> Recorded:
    artifact.fetch(GOLDEN)
    pairs = read_golden(artifact.folder).scored
    logits = np.array([pair.logits for pair in pairs], np.float32)[:, 0]
    exported = max(parity.max_logit_difference for parity in artifact.manifest.variants[variant].parity.values())
    return Recorded(
        pairs=tuple((pair.query, pair.document) for pair in pairs[:FEW]),
        logits=logits[:FEW],
        allowed=EXPORT_MARGIN * exported + float(logits.std()) * DEVICE_DIFFERENCE[variant],
    )
