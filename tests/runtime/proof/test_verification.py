"""What the proof measures and refuses, on a tiny random checkpoint."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from onnxrank.artifact.golden import Golden, read_golden
from onnxrank.artifact.manifest import Parity
from onnxrank.artifact.opening import Artifact, open_artifact
from onnxrank.engine.pack import Pack
from onnxrank.engine.padded import PaddedGraph
from onnxrank.engine.prefix import PrefixGraph
from onnxrank.errors import BackendError, ParityError
from onnxrank.proof.tolerances import Scale
from onnxrank.proof.verification import Verification, check_gates, repeat_oracle, verify_variant
from tests.exports import export_tiny
from tests.tiny_families import TINY


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    folder = tmp_path_factory.mktemp("verification")
    TINY["zerank"].write(folder / "checkpoint")
    export_tiny(folder / "checkpoint", folder / "out")
    return open_artifact(folder / "out")


@pytest.fixture(scope="module")
def golden(artifact: Artifact) -> Golden:
    return read_golden(artifact.folder)


def verification(artifact: Artifact, golden: Golden) -> Verification:
    return verify_variant(artifact, artifact.manifest.variants["fp32"], golden, threads=1)


@pytest.mark.parametrize("graph", [PaddedGraph, PrefixGraph])
def test_the_batch_effect_is_what_neighbours_do_in_either_graph(
    artifact: Artifact, golden: Golden, graph: type[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert verification(artifact, golden).batch_effect < 1e-4
    run_each = graph.run_each

    def moved(self: Any, packs: Sequence[Pack]) -> Iterator[tuple[Pack, NDArray[np.float32]]]:
        for pack, logits in run_each(self, packs):
            yield pack, logits + np.float32(0.5 * len(pack.rows))

    monkeypatch.setattr(graph, "run_each", moved)
    assert verification(artifact, golden).batch_effect >= 0.5


def test_the_difference_between_graphs_is_no_batch_effect(
    artifact: Artifact, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_each = PrefixGraph.run_each

    def moved(self: PrefixGraph, packs: Sequence[Pack]) -> Iterator[tuple[Pack, NDArray[np.float32]]]:
        for pack, logits in run_each(self, packs):
            yield pack, logits + np.float32(0.5)

    monkeypatch.setattr(PrefixGraph, "run_each", moved)
    found = verification(artifact, golden)
    assert found.batch_effect < 1e-4
    assert found.graph_difference == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize(("effect", "refused"), [(0.29, False), (0.31, True), (float("nan"), True)])
def test_a_score_that_depends_on_its_batch_is_refused(effect: float, refused: bool) -> None:
    same = Parity(
        pairs=9, max_logit_difference=0.0, max_score_difference=0.0, kendall_tau=1.0, top1_agreement=1.0
    )  # fmt: skip
    found = Verification(
        parity={"right padding": same},
        scale={"right padding": Scale(deviation=2.0, largest=5.0)},
        batch_effect=effect,
        graph_difference=0.0,
    )
    if not refused:
        check_gates("int8", found)
        return
    with pytest.raises(ParityError, match=r"int8 depends on its batches: .* move its logit by .*, and 0\.3 is allowed"):
        check_gates("int8", found)


def test_a_missing_exporter_is_said(artifact: Artifact, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxrank.proof.verification.entry_points", lambda group: [])
    with pytest.raises(BackendError, match=r"need the exporter: `pip install onnxrank\[export\]`"):
        repeat_oracle(artifact.manifest, golden, "demo")
