"""Where a `Cascade` keeps vectors: the interface, and faiss behind it. `integrations` has Qdrant and LanceDB."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from onnxrank.errors import BackendError, InputError

Floats = NDArray[np.float32]
KINDS = ("flat", "hnsw", "ivf")
# Neighbours of a vector in the graph, and candidates while it is built and searched: recall against time and memory.
HNSW_NEIGHBOURS, HNSW_BUILD, HNSW_SEARCH = 32, 200, 128
# A search reads this share of all lists, and at least so many.
IVF_PROBED, IVF_LEAST = 1 / 32, 16
# faiss asks for 39 vectors or more for each centroid that it trains.
IVF_SAMPLES = 40
# Vectors that are converted at a time, which bounds the memory in float32.
SLICE = 16_384


class VectorIndex(Protocol):
    """L2-normalised vectors in the order in which they were added; a vector's place is its number there."""

    @property
    def dim(self) -> int:
        """The length of a vector."""
        ...

    def __len__(self) -> int: ...

    def start(self, dim: int) -> None:
        """Forget all vectors; those that follow have this length."""
        ...

    def add(self, vectors: Floats) -> None:
        """Add vectors, float32 `[n, dim]`."""
        ...

    def finish(self) -> None:
        """Make all that was added searchable."""
        ...

    def search(self, vector: Floats, count: int) -> tuple[Floats, NDArray[np.int64]]:
        """Return the cosine similarities to the nearest vectors, best first, and their places, each `[at most count]`.
        vector: float32 `[dim]`."""
        ...


class FaissIndex:
    """Vectors in float16 in memory: "flat" compares with all, "hnsw" walks a graph, "ivf" reads a part of the lists."""

    def __init__(self, kind: str = "flat") -> None:
        """Raises InputError for another kind, BackendError if faiss is not installed."""
        if kind not in KINDS:
            raise InputError(f"index is {kind!r:.60}; give one of {', '.join(KINDS)}, or an index.")
        self._faiss = _faiss()
        self._kind = kind
        self._index: Any = None

    @classmethod
    def read(cls, path: Path) -> "FaissIndex":
        """Return an index of any kind from its file. Raises RuntimeError, as faiss does."""
        found = cls()
        found._index = found._faiss.read_index(str(path))
        return found

    def write(self, path: Path) -> None:
        # faiss's own files do not report every error of a full disk.
        with path.open("wb") as file:
            self._faiss.write_index(self._index, self._faiss.PyCallbackIOWriter(file.write))

    @property
    def dim(self) -> int:
        return int(self._index.d)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def start(self, dim: int) -> None:
        faiss = self._faiss
        self._index = faiss.IndexScalarQuantizer(dim, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)

    def add(self, vectors: Floats) -> None:
        self._index.add(vectors)

    def finish(self) -> None:
        flat = self._index
        # Lists of few vectors gain nothing.
        if self._kind == "flat" or (self._kind == "ivf" and flat.ntotal < IVF_LEAST * IVF_SAMPLES):
            return
        made = self._hnsw(flat) if self._kind == "hnsw" else self._ivf(flat)
        for start in range(0, flat.ntotal, SLICE):
            made.add(flat.reconstruct_n(start, min(SLICE, flat.ntotal - start)))
        self._index = made

    def search(self, vector: Floats, count: int) -> tuple[Floats, NDArray[np.int64]]:
        scores, places = self._index.search(vector[None], count)
        # Where a search reaches fewer vectors, faiss fills up with -1.
        reached = places[0] >= 0
        return scores[0][reached], places[0][reached]

    def _hnsw(self, flat: Any) -> Any:
        faiss = self._faiss
        made = faiss.IndexHNSWSQ(flat.d, faiss.ScalarQuantizer.QT_fp16, HNSW_NEIGHBOURS, faiss.METRIC_INNER_PRODUCT)
        made.hnsw.efConstruction, made.hnsw.efSearch = HNSW_BUILD, HNSW_SEARCH
        made.is_trained = True  # float16 needs no ranges of values
        return made

    def _ivf(self, flat: Any) -> Any:
        faiss = self._faiss
        lists = min(int(4 * flat.ntotal**0.5), flat.ntotal // IVF_SAMPLES)
        # The index keeps no reference to the quantizer unless it owns it.
        quantizer = faiss.IndexFlatIP(flat.d)
        made = faiss.IndexIVFScalarQuantizer(
            quantizer, flat.d, lists, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT
        )
        made.own_fields = True
        quantizer.this.disown()
        chosen = np.random.default_rng(0).choice(flat.ntotal, min(flat.ntotal, lists * IVF_SAMPLES), replace=False)
        made.train(flat.reconstruct_batch(np.sort(chosen)))
        made.nprobe = max(IVF_LEAST, round(lists * IVF_PROBED))
        return made


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise BackendError(
            "the index needs faiss, which is not installed: `pip install onnxrank[retrieval]`."
        ) from error
    return faiss
