"""Triton: the model class of its python backend. `onnxrank triton` writes a model repository that names it.

Inputs: `query`, a string `[1]`, and `documents`, strings `[n]`. Outputs: `scores`, float32 `[n]`, and `truncated`, bool
`[n]`, in the documents' order.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onnxrank.errors import BackendError
from onnxrank.offline.model import ModelOptions, PairModel
from onnxrank.offline.rows import CellOutcome, Unreadable, error_of, score_rows, values_of

try:
    import triton_python_backend_utils as triton
except ImportError as error:
    raise BackendError(
        "onnxrank.integrations.triton runs inside Triton's python backend; write a model repository for it with "
        "`onnxrank triton ARTIFACT --out FOLDER`."
    ) from error


class TritonPythonModel:
    """Scores all requests that wait by one call; a request that cannot be scored gets an error of its own."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the artifact in the model's folder, and load its weights."""
        given = json.loads(args["model_config"])["parameters"]
        folder = Path(args["model_repository"]) / args["model_version"] / "artifact"
        threads = given.get("threads", {}).get("string_value")
        options = ModelOptions(variant=given["variant"]["string_value"])
        self._model = PairModel(folder, options, threads=int(threads) if threads else None)
        self._model.score([("warm", "up")])

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        queries = [next(iter(_texts(request, "query")), None) for request in requests]
        documents = [_texts(request, "documents") for request in requests]
        return [_response(found) for found in score_rows(self._model, queries, documents)]


def _texts(request: Any, name: str) -> list[object]:
    values = triton.get_input_tensor_by_name(request, name).as_numpy().reshape(-1)
    return [_text(value) for value in values]


def _text(value: bytes) -> object:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return Unreadable(reason=f"the text {value!r:.60} is not in UTF-8; encode it so.")


def _response(found: CellOutcome) -> Any:
    if problem := error_of(found):
        return triton.InferenceResponse(error=triton.TritonError(problem, triton.TritonError.INVALID_ARG))
    scores, truncated, _ = values_of(found)
    return triton.InferenceResponse(
        [
            triton.Tensor("scores", np.array(scores, np.float32)),
            triton.Tensor("truncated", np.array(truncated, np.bool_)),
        ]
    )
