"""Scores with llama.cpp: `python -m benchmarks.peers.llama_cpp_worker WORKLOADS MODEL.gguf MODE YES NO [plain]`.

The mode `prompts` computes whole prompts, several in one batch, as llama.cpp's server does. `shared` computes the
documents' common tokens once and copies their cells to every sequence, which the library allows but the server does not
do. YES and NO are the token ids of the two answers. `plain` leaves the weights as they are in the file instead of
packing them for this processor.
"""

import ctypes
import os
import sys
from pathlib import Path
from typing import Any

import llama_cpp

from benchmarks.peers.worker import Score, batches, prompts, serve

THREADS = len(os.sched_getaffinity(0))
SEQUENCES = 16
# Tokens of a batch. These sizes, flash attention and a unified cache were the fastest settings of those tried.
PROMPT_TOKENS, SHARED_TOKENS = 512, 256


class Model:
    """A model, and a context that grows with the longest prompt."""

    def __init__(self, path: Path, yes: int, no: int, plain: bool) -> None:
        self._yes, self._no = yes, no
        llama_cpp.llama_backend_init()
        self._quiet = llama_cpp.llama_log_callback(lambda *message: None)
        llama_cpp.llama_log_set(self._quiet, ctypes.c_void_p(0))
        params = llama_cpp.llama_model_default_params()
        params.use_extra_bufts = not plain
        self._model = llama_cpp.llama_model_load_from_file(bytes(path), params)
        assert self._model, f"llama.cpp cannot load {path}"
        self._cells = 0
        self._context: Any = None

    def reserve(self, cells: int) -> None:
        """Make room for this many tokens, and clear the cache."""
        if cells > self._cells:
            if self._context:
                llama_cpp.llama_free(self._context)
            self._cells = max(cells, 2048)
            params = llama_cpp.llama_context_default_params()
            params.n_ctx = params.n_batch = self._cells
            params.n_ubatch = PROMPT_TOKENS
            params.n_seq_max = SEQUENCES + 1
            params.n_threads = params.n_threads_batch = THREADS
            params.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED
            params.kv_unified = True
            self._context = llama_cpp.llama_init_from_model(self._model, params)
            assert self._context, f"llama.cpp has no room for {cells} tokens"
        llama_cpp.llama_memory_clear(self._memory, False)

    def share(self, tokens: int) -> None:
        """Let all sequences continue the first `tokens` tokens of sequence 0, and nothing else."""
        for sequence in range(1, SEQUENCES + 1):
            llama_cpp.llama_memory_seq_rm(self._memory, sequence, -1, -1)
            llama_cpp.llama_memory_seq_cp(self._memory, 0, sequence, 0, tokens)

    @property
    def _memory(self) -> Any:
        return llama_cpp.llama_get_memory(self._context)

    def decode(self, texts: dict[int, list[int]], start: int) -> list[float]:
        """Append tokens to sequences, and return logit(yes) - logit(no) after the last token of each."""
        batch = llama_cpp.llama_batch_init(sum(map(len, texts.values())), 0, 1)
        last = []
        for sequence, ids in texts.items():
            for position, token in enumerate(ids, start):
                i = batch.n_tokens
                batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = token, position, 1, sequence
                batch.logits[i] = position == start + len(ids) - 1
                batch.n_tokens += 1
            last.append(batch.n_tokens - 1)
        failed = llama_cpp.llama_decode(self._context, batch)
        llama_cpp.llama_batch_free(batch)
        assert not failed, f"llama_decode returned {failed}"
        logits = [llama_cpp.llama_get_logits_ith(self._context, i) for i in last]
        return [float(row[self._yes] - row[self._no]) for row in logits]


def score(model: Model, request: dict[str, Any], shared: bool) -> list[float]:
    """Score documents in batches of similar length."""
    prefix: list[int] = request["prefix"] if shared else []
    texts: list[list[int]] = request["documents_ids"] if shared else prompts(request)
    lengths = [len(ids) for ids in texts]
    groups = batches(lengths, SHARED_TOKENS if shared else PROMPT_TOKENS, SEQUENCES)
    model.reserve(len(prefix) + max(PROMPT_TOKENS, *lengths))
    if prefix:
        model.decode({0: prefix}, 0)
    scores = [0.0] * len(texts)
    for group in groups:
        model.share(len(prefix))
        found = model.decode({sequence: texts[i] for sequence, i in enumerate(group, 1)}, len(prefix))
        for i, value in zip(group, found, strict=True):
            scores[i] = value
    return scores


def main(workloads: Path, path: Path, mode: str, yes: int, no: int, plain: bool) -> None:
    def load() -> Score:
        model = Model(path, yes, no, plain)
        return lambda request: score(model, request, mode == "shared")

    serve(load, workloads)


if __name__ == "__main__":
    workloads, model, mode, yes, no, *rest = sys.argv[1:]
    main(Path(workloads), Path(model), mode, int(yes), int(no), rest == ["plain"])
