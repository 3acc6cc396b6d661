from typing import Any

import numpy as np
import pytest
import torch
from transformers import Qwen3Config
from transformers.models.qwen3.modeling_qwen3 import Qwen3RotaryEmbedding

from onnxrank.errors import CheckpointError
from onnxrank.export.graph.rope import rope_of


@pytest.mark.parametrize(
    "parameters",
    [
        {"rope_type": "default"},
        {"rope_type": "linear", "factor": 3.0},
        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 8192},
        {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": 64, "beta_fast": 16, "beta_slow": 2},
        {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 512, "truncate": False},
        {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 512, "attention_factor": 1.2},
        {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 64, "mscale": 2, "mscale_all_dim": 3},
        {
            "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
        {
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 2.0, "high_freq_factor": 3.0,
            "original_max_position_embeddings": 64,
        },
    ],
)  # fmt: skip
@pytest.mark.parametrize("head_dim", [32, 128])
def test_frequencies_are_transformers(parameters: dict[str, Any], head_dim: int) -> None:
    config = Qwen3Config(
        head_dim=head_dim, rope_parameters={"rope_theta": 1e6, **parameters}, max_position_embeddings=32768
    )
    reference = Qwen3RotaryEmbedding(config)
    found = rope_of(config.to_dict(), head_dim)
    np.testing.assert_allclose(found.frequencies, reference.inv_freq.numpy(), rtol=3e-6)
    assert found.scale == pytest.approx(reference.attention_scaling)
    cos, _ = reference(torch.zeros(1), torch.tensor([[0]]))
    assert cos[0, 0, 0].item() == pytest.approx(found.scale)


def test_the_older_spelling_means_the_same() -> None:
    new = rope_of({"rope_parameters": {"rope_theta": 1e4, "rope_type": "linear", "factor": 2.0}}, 64)
    old = rope_of({"rope_theta": 1e4, "rope_scaling": {"type": "linear", "factor": 2.0}}, 64)
    np.testing.assert_array_equal(new.frequencies, old.frequencies)


def test_a_parameter_that_llama3_needs_is_named() -> None:
    parameters = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    with pytest.raises(CheckpointError, match="'llama3' and does not set 'original_max_position_embeddings'"):
        rope_of({"rope_parameters": parameters}, 64)
