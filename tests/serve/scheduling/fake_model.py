"""A model whose runs wait until a test lets them go on."""

import queue
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxrank.errors import ArtifactError
from onnxrank.serve.model.work import Reading, Result, Unit, Work, slices
from onnxrank.serve.requests import EmbedRequest, ScoreRequest

# Nothing in these tests takes as long; a wait for something that does not come ends here.
SECONDS = 30


class FakeModel:
    """A document has a token for each character, and scores its length; "nan" gives no number, "crash" raises.

    rounds: what was run, as lists of documents. read: how many requests were tokenized. slices: the query of each slice
    that was tokenized.
    """

    def __init__(self, *, name: str = "fake", round_tokens: int = 100, cores: int = 1, sound: bool = True) -> None:
        self.name = name
        self.cores = cores
        self.round_tokens = round_tokens
        self.rounds: list[list[str]] = []
        self.read = 0
        self.slices: list[str] = []
        self.closed = False
        self._sound = sound
        self._gated = False
        self._begun: queue.SimpleQueue[list[str]] = queue.SimpleQueue()
        self._held: queue.SimpleQueue[threading.Event] = queue.SimpleQueue()

    def hold(self) -> None:
        """Let runs wait from now on, until `release`."""
        self._gated = True

    def release(self, runs: int = 1) -> None:
        """Let runs end, in the order in which they began."""
        for _ in range(runs):
            self._held.get_nowait().set()

    def let_go(self) -> None:
        """Let all runs end, those to come as well."""
        self._gated = False
        while not self._held.empty():
            self.release()

    def forget(self) -> None:
        """Drop the record of what ran."""
        self.rounds.clear()
        while not self._begun.empty():
            self._begun.get()

    def begun(self) -> list[str]:
        """Wait for the next run to begin; return its documents."""
        return self._begun.get(timeout=SECONDS)

    def read_scores(self, request: ScoreRequest) -> Reading:
        self.read += 1
        work = Work(items=len(request.pairs), place="documents")
        for piece in slices([document for _, document in request.pairs]):
            self.slices.append(request.pairs[piece[0]][0])
            for item in piece:
                query, document = request.pairs[item]
                work.tokens += len(document)
                key = f"{self.name} {query} {document}".encode()
                work.units.append(Unit(item=item, key=key, cost=len(document), row=document))
            yield
        return work

    def read_texts(self, request: EmbedRequest) -> Reading:
        return self.read_scores(ScoreRequest(pairs=tuple(("", text) for text in request.texts)))

    def run(self, units: Sequence[Unit[Any]]) -> list[Result]:
        documents = [unit.row for unit in units]
        may_end = threading.Event()
        if self._gated:
            self._held.put(may_end)
        else:
            may_end.set()
        self._begun.put(documents)
        if not may_end.wait(SECONDS):
            raise TimeoutError("the test did not let this run end")
        if "crash" in documents:
            raise RuntimeError("a kernel failed")
        self.rounds.append(documents)
        return [np.float32(np.nan if document == "nan" else len(document)) for document in documents]

    def activate(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        return logits * np.float32(0.1)

    def check(self) -> None:
        if not self._sound:
            raise ArtifactError("fake does not score here as it did at its export.")

    def sample(self) -> Reading:
        return self.read_scores(ScoreRequest(pairs=(("", "x" * self.round_tokens),) * 2))

    def close(self) -> None:
        self.closed = True
