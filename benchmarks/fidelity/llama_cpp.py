"""Scores decoders with llama.cpp, in its own environment."""

import json
import subprocess
import sys
from collections.abc import Container, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from benchmarks.engines import PEERS
from benchmarks.engines import Engine as Worker
from benchmarks.fidelity.scores import Engine, Score
from benchmarks.fidelity.subject import Subject
from benchmarks.preparation import REQUIREMENTS, install
from benchmarks.rounds import started
from onnxrank.text.prompt import shared_tokens

ENVIRONMENT = "llama-cpp"
# F16 loses almost nothing: it shows that the files and the prompts are right.
TYPES = {"llama.cpp F16": "f16", "llama.cpp Q8_0": "q8_0", "llama.cpp Q4_0": "q4_0", "llama.cpp Q4_K_M": "q4_k_m"}
NAMES = tuple(TYPES)


def engines(subject: Subject, wanted: Container[str]) -> Iterator[Engine]:
    """Yield those that are wanted, if the checkpoint is a decoder."""
    names = [name for name in NAMES if name in wanted]
    if not names or subject.scoring.readout is None:
        return
    install(ENVIRONMENT)
    models = PEERS / ENVIRONMENT / "fidelity" / f"{subject.name}-{subject.identity[:12]}"
    command = [PEERS / ENVIRONMENT / "bin/python", "-m", "benchmarks.peers.gguf_files", subject.folder, models]
    subprocess.run([*map(str, command), *(TYPES[name] for name in names)], check=True, stdout=sys.stderr)
    (version,) = (
        line for line in (REQUIREMENTS / f"{ENVIRONMENT}.txt").read_text().splitlines() if line.startswith("llama_cpp")
    )
    for name in names:
        model = models / f"{TYPES[name]}.gguf"
        yield Engine(
            name=name,
            settings=f"{version.replace('==', ' ')}, flash attention, 16-bit cache, shared prefix, weights not packed",
            identity=name,
            megabytes=model.stat().st_size / 1e6,
            open=partial(_open, subject, name, model),
        )


@contextmanager
def _open(subject: Subject, name: str, model: Path, queries: range) -> Iterator[Score]:
    requests = {str(query): _request(subject, query) for query in queries}
    workloads = Path("build/fidelity-workloads") / f"{subject.name}-{subject.texts}.json"
    workloads.parent.mkdir(parents=True, exist_ok=True)
    workloads.write_text(json.dumps({"first": requests[str(queries[0])], **requests}))
    worker = Worker(
        module="benchmarks.peers.llama_cpp_worker",
        # Packed weights of these shapes end llama.cpp 0.3.36 with a segmentation fault on processors with AMX.
        arguments=(str(model), "shared", *map(str, subject.answers), "plain"),
        settings="",
        weights=(),
        environment=ENVIRONMENT,
    )
    with started(name, worker, workloads) as (running, _):
        yield lambda query: running.ask(str(query)).scores


def _request(subject: Subject, query: int) -> dict[str, list[int] | list[list[int]]]:
    prompts = [tuple(ids) for _, ids in subject.token_ids(query)]
    shared = shared_tokens(prompts)
    return {"prefix": list(prompts[0][:shared]), "documents_ids": [list(ids[shared:]) for ids in prompts]}
