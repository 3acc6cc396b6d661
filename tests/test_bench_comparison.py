"""The comparison with peers, as far as it needs no peer."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import plots, report
from benchmarks.engines import ORACLE, OURS, Engine
from benchmarks.peers.padding import feeds, score_padded
from benchmarks.peers.worker import batches
from benchmarks.rounds import Answer, in_turns, started
from benchmarks.summary import paired_ratio, summarize

REQUEST: dict[str, Any] = {
    "prefix": [1] * 74,
    "instruction_tokens": 60,
    "documents_ids": [[7] * 33, [8] * 20, [9] * 40],
}
WORKER = """
import sys
from pathlib import Path
from benchmarks.peers.worker import serve

def load():
    print("a library's greeting", flush=True)
    return lambda request: [float(len(ids)) for ids in request["documents_ids"]]

serve(load, Path(sys.argv[1]))
"""


class Fake(Engine):
    """An engine whose scores are its documents' lengths."""

    def command(self, workloads: Path) -> list[str]:
        return [sys.executable, "-c", WORKER, str(workloads)]


def answers(*seconds: float, scores: tuple[float, ...] = (1, 2, 3)) -> list[Answer]:
    return [Answer(seconds=s, scores=list(scores), peak_megabytes=900) for s in seconds]


def test_batches_hold_similar_lengths_within_budget_and_rows() -> None:
    lengths = [3, 9, 5, 5, 4, 20]
    assert batches(lengths, 10) == [[5], [1], [2, 3], [4, 0]]
    assert batches(lengths, 1000, rows=4) == [[5, 1, 2, 3], [4, 0]]


def test_padded_scores_come_back_in_order() -> None:
    whole = [74 + len(ids) for ids in REQUEST["documents_ids"]]
    assert score_padded(REQUEST, 220, lambda f: f["attention_mask"].sum(1, keepdims=True)) == whole
    batch = feeds([[5, 6], [7]])
    assert batch["attention_mask"].tolist() == [[1, 1], [1, 0]]
    assert batch["input_ids"][0].tolist() == [5, 6] and batch["position_ids"].shape == (2, 2)


def test_worker_answers_lines_whatever_libraries_print(tmp_path: Path) -> None:
    (tmp_path / "workloads.json").write_text(json.dumps({"first": REQUEST, "W": REQUEST}))
    fake = Fake(module="", arguments=(), settings="", weights=())
    with started("fake", fake, tmp_path / "workloads.json") as (worker, seconds):
        answer = worker.ask("W")
    assert answer.scores == [33, 20, 40] and seconds > answer.seconds >= 0 and answer.peak_megabytes > 0


def test_orders_differ_between_rounds() -> None:
    names = ["a", "b", "c"]
    assert [in_turns(names, r)[0] for r in range(4)] == ["a", "b", "c", "a"]
    assert sorted(in_turns(names, 5)) == names


def test_figures_of_a_request() -> None:
    given = {OURS: answers(1, 2, 4), ORACLE: answers(10, 30, 44), "llama.cpp Q8_0": answers(5, 5, 5, scores=(3, 2, 1))}
    found = summarize(REQUEST, given, int8_ceiling=880.8)
    assert (found["tokens"], found["prompt_tokens"]) == (93 + 14, 93 + 3 * 74)
    assert found["floor_seconds"] == pytest.approx(0.107)
    pytorch = found["engines"][ORACLE]
    assert pytorch["median_seconds"] == 30 and pytorch["times_ours"] == 11
    assert pytorch["computed_gigaflops"] / pytorch["useful_gigaflops"] == pytest.approx(315 / 107)
    assert found["engines"]["llama.cpp Q8_0"]["kendall_tau"] == -1
    assert paired_ratio(given[ORACLE], given[OURS]) == 11


def test_results_become_a_page_and_plots(tmp_path: Path) -> None:
    given = {OURS: answers(1, 2), ORACLE: answers(10, 30)}
    facts = {"settings": "so", "weights_megabytes": 600.0, "seconds_to_first_score": 2.0, "peak_megabytes": 900}
    results = {
        "machine": {"processor": "P", "cores": 2, "instructions": ["avx2"], "onnxruntime": "1", "torch": "2"},
        "quick": False,
        "rounds": 2,
        "ceilings": {"int8": [800.0, 900.0], "fp32": [200.0]},
        "engines": {OURS: facts, ORACLE: facts},
        "requests": {"W1": summarize(REQUEST, given, 850.0)},
        "long": {OURS: {"seconds": 20.0, "peak_megabytes": 1500, "peak_megabytes_before": 700}},
        "growth": {"documents": {OURS: {"10": 1.0, "30": 3.0}, ORACLE: {"10": 9.0}}},
        "maxsim": {"documents": 10, "seconds": 0.2, "seconds_of_blas": 0.1, "ratio": 2.0},
    }
    page = report.markdown(results)
    assert "int8 800 to 900 GF/s" in page and f"| {ORACLE} | 20.00 | 12.50 |" in page
    plots.draw(results, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"ratios.svg", "growth.svg", "sizes.svg"}
