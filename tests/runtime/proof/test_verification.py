"""What the proof measures and refuses, on a tiny random checkpoint."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from onnxrank.artifact.golden import Golden, read_golden
from onnxrank.artifact.manifest import Interval, Parity
from onnxrank.artifact.opening import Artifact, open_artifact
from onnxrank.engine.pack import Pack
from onnxrank.engine.padded import PaddedGraph
from onnxrank.engine.prefix import PrefixGraph
from onnxrank.errors import BackendError, ParityError
from onnxrank.proof.tolerances import Scale
from onnxrank.proof.verification import (
    SAMPLE,
    Verification,
    check_gates,
    excess_loss,
    repeat_oracle,
    scale_of,
    steps,
    verify_variant,
)
from tests.exports import export_tiny
from tests.proofs import SAME
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


@pytest.mark.parametrize(
    ("effect", "difference", "refused"),
    [(0.29, 0.0, False), (0.31, 0.0, True), (float("nan"), 0.0, True), (0.31, 0.63, False), (0.31, 0.6, True)],
)
def test_a_score_that_depends_on_its_batch_is_refused(effect: float, difference: float, refused: bool) -> None:
    found = Verification(
        parity={"padded": Parity(**{**SAME, "max_logit_difference": difference})},
        scale={"padded": Scale(deviation=2.0, largest=5.0)},
        batch_effect=effect,
        graph_difference=0.0,
    )
    if not refused:
        check_gates("int8", found)
        return
    with pytest.raises(ParityError, match=r"int8 depends on its batches: .* move its logit by .*, and 0\.3 is allowed"):
        check_gates("int8", found)


def test_the_loss_is_that_of_the_worst_graph() -> None:
    worse = Interval(mean=0.2, low=0.1, high=0.3)
    found = Verification(
        parity={"padded": Parity(**SAME), "prefix": Parity(**{**SAME, "noise": worse})},
        scale=dict.fromkeys(("padded", "prefix"), Scale(deviation=2.0, largest=5.0)),
        batch_effect=0.0,
        graph_difference=0.0,
    )
    assert str(excess_loss("int8", found)).startswith("int8 (prefix, 9 pairs) loses too much: noise is 0.2 [0.1, 0.3]")
    assert excess_loss("q4", found) is None


@pytest.mark.parametrize("column", [0, 1])
def test_ties_and_the_scale_are_those_of_a_query(column: int) -> None:
    # Queries far apart, documents close together.
    expected = np.array([[0.0, 100.0], [0.2, 100.2], [50.0, 0.0], [50.2, 0.2], [9.0, 9.0]], np.float32)[:, column]
    scale = scale_of(expected[:, None], [[0, 1], [2, 3], [4]])
    assert scale.deviation == pytest.approx(0.1, rel=1e-3)
    assert scale.tie == pytest.approx(1e-4 * max(1, expected.max() / 50))


def test_steps_are_the_pairs_that_are_scored(artifact: Artifact, golden: Golden) -> None:
    variant = artifact.manifest.variants["fp32"]
    counted: list[int] = []
    verify_variant(artifact, variant, golden, threads=1, done=counted.append)
    assert sum(counted) == steps(variant, golden) == 2 * len(golden.scored) + 3 * SAMPLE
    few = replace(golden, pairs=golden.pairs[:4])
    counted.clear()
    verify_variant(artifact, variant, few, threads=1, done=counted.append)
    assert sum(counted) == steps(variant, few) == 5 * len(few.scored)


def test_a_missing_exporter_is_said(artifact: Artifact, golden: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxrank.proof.verification.entry_points", lambda group: [])
    with pytest.raises(BackendError, match=r"need the exporter: `pip install onnxrank\[export\]`"):
        repeat_oracle(artifact.manifest, golden, "demo")
