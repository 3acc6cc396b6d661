"""The built graphs against PyTorch on tiny random checkpoints, and their shape as ONNX Runtime sees it."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
import pytest

from onnxrank.artifact.variants import PRECISIONS
from onnxrank.engine.device import CPU, Device
from onnxrank.engine.prefix import PrefixGraph
from onnxrank.engine.session import Session
from onnxrank.errors import CheckpointError, UnsupportedError
from onnxrank.export.architectures import DECODERS, decoder
from onnxrank.export.architectures.architecture import Decoder
from onnxrank.export.architectures.decoder_body import Differences, causal_decoder
from onnxrank.export.artifact.saving import save_graphs
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.graph.decoder_inputs import Shape
from onnxrank.export.graph.heads import EXACT, DecoderHead, linear_score
from onnxrank.quantize.hessians import Hessians
from onnxrank.quantize.variants import apply_precision, change_basis
from onnxrank.text.prompt import EncodedPair
from tests.scoring import padded_logits
from tests.tiny import CONFIGS, VOCABULARY, torch_logits, write_tiny

YES, NO = 17, 23
LENGTHS = (1, 2, 5, 33, 64, 65, 100, 128, 7)


def head(checkpoint: Checkpoint, shape: Shape = Shape.PADDED) -> DecoderHead:
    if shape is Shape.LM:
        return decoder.vocabulary_head(checkpoint)
    return linear_score(checkpoint.config["hidden_size"], decoder.answer_weight(checkpoint, YES, NO))


def architecture(checkpoint: Checkpoint) -> Decoder:
    return DECODERS[checkpoint.config["model_type"]]


def build(folder: Path, shape: Shape, variant: str = "fp32", max_length: int = 16384) -> ir.Model:
    checkpoint = Checkpoint.open(folder)
    model = architecture(checkpoint).build(checkpoint, shape, max_length, head(checkpoint, shape))
    precision = PRECISIONS[variant]
    if precision.weight_bits <= 8:
        change_basis(model, Hessians(), exclude=EXACT)
    apply_precision(model, precision, exclude=EXACT)
    return model


def session(folder: Path, shape: Shape, path: Path, variant: str = "fp32") -> Session:
    save_graphs([(path / f"{shape.value}.onnx", build(folder, shape, variant))])
    return Session(path / f"{shape.value}.onnx", Device(threads=2))


def random_ids(lengths: tuple[int, ...] = LENGTHS, seed: int = 0) -> list[list[int]]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, VOCABULARY, n).tolist() for n in lengths]


@pytest.fixture(scope="module", params=CONFIGS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny"), **CONFIGS[request.param])


def test_the_padded_graph_is_pytorch_on_either_padding_side(folder: Path, tmp_path: Path) -> None:
    sequences = random_ids()
    expected = torch_logits(folder, sequences, YES, NO)
    padded = session(folder, Shape.PADDED, tmp_path)
    for left in (False, True):
        for budget in (1, 10_000):
            found = padded_logits(padded, sequences, pad_left=left, batch_tokens=budget)[:, 0]
            np.testing.assert_allclose(found, expected, atol=2e-5)


def test_a_new_decoder_is_what_sets_it_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DECODERS, "mistral", causal_decoder(Differences(fixed={"sliding_window": (None,)})))
    folder = write_tiny(tmp_path / "mistral", model_type="mistral", sliding_window=None)
    sequences = random_ids()
    found = padded_logits(session(folder, Shape.PADDED, tmp_path), sequences)[:, 0]
    np.testing.assert_allclose(found, torch_logits(folder, sequences, YES, NO), atol=2e-5)


@pytest.mark.parametrize("grouped_from", [1, 65, 10_000])
def test_the_prefix_graph_is_pytorch_one_by_one(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grouped_from: int
) -> None:
    """With either attention for a single text."""
    monkeypatch.setattr("onnxrank.engine.prefix.GROUPED_FROM", grouped_from)
    instruction, query, *documents = random_ids((20, 9, *LENGTHS), seed=1)
    expected = torch_logits(folder, [instruction + query + d for d in documents], YES, NO)
    checkpoint = Checkpoint.open(folder)
    graph = PrefixGraph(session(folder, Shape.PREFIX, tmp_path), decoder.cache(checkpoint))
    pairs = [
        EncodedPair(instruction=tuple(instruction), query=tuple(query), document=tuple(document), truncated=False)
        for document in documents
    ]
    for budget in (1, 150, 10_000):
        packs = graph.pack(graph.rows(pairs), budget)
        assert {pack.prefix for pack in packs} == {(tuple(instruction), tuple(query))}
        for pack, logits in graph.run_each(packs):
            np.testing.assert_allclose(logits[:, 0], expected[list(pack.rows)], atol=2e-5)


def test_eight_thousand_tokens(tiny_checkpoint: Path, tmp_path: Path) -> None:
    sequences = random_ids((8192,))
    expected = torch_logits(tiny_checkpoint, sequences, YES, NO)
    found = padded_logits(session(tiny_checkpoint, Shape.PADDED, tmp_path), sequences)[:, 0]
    np.testing.assert_allclose(found, expected, atol=5e-5)


@pytest.mark.parametrize("left", [False, True])
def test_lm_graph_generates_like_pytorch(tiny_checkpoint: Path, tmp_path: Path, left: bool) -> None:
    """A padded prompt, then one more token on the KV cache."""
    prompts, following = random_ids((6, 11)), [5, 9]
    width = max(map(len, prompts))
    ids, mask = np.zeros((2, width), np.int64), np.zeros((2, width), np.int64)
    for row, tokens in enumerate(prompts):
        real = slice(width - len(tokens), None) if left else slice(len(tokens))
        ids[row, real], mask[row, real] = tokens, 1
    lm = session(tiny_checkpoint, Shape.LM, tmp_path).runner([1])
    names = [f"{i}.{part}" for i in range(3) for part in ("key", "value")]
    empty = {f"past_key_values.{name}": np.empty((2, 2, 0, 32), np.float32) for name in names}
    logits, *present = lm.run(
        ["logits", *(f"present.{name}" for name in names)],
        {"input_ids": ids, "attention_mask": mask, **empty},
    )
    last = [width - 1 if left else len(tokens) - 1 for tokens in prompts]
    found = [row[at, YES] - row[at, NO] for row, at in zip(logits, last, strict=True)]
    np.testing.assert_allclose(found, torch_logits(tiny_checkpoint, prompts, YES, NO), atol=2e-5)
    if not left:
        return
    past = {f"past_key_values.{name}": value for name, value in zip(names, present, strict=True)}
    mask = np.concatenate([mask, np.ones((2, 1), np.int64)], 1)
    (logits,) = lm.run(["logits"], {"input_ids": np.array(following)[:, None], "attention_mask": mask, **past})
    longer = [[*tokens, token] for tokens, token in zip(prompts, following, strict=True)]
    np.testing.assert_allclose(
        logits[:, 0, YES] - logits[:, 0, NO], torch_logits(tiny_checkpoint, longer, YES, NO), atol=2e-5
    )


FUSED = {
    "GroupQueryAttention", "MultiHeadAttention", "Attention", "SimplifiedLayerNormalization", "LayerNormalization",
    "SkipSimplifiedLayerNormalization", "SkipLayerNormalization", "QuickGelu", "Gelu", "FastGelu", "BiasGelu",
    "Sigmoid", "Softmax", "RotaryEmbedding", "MatMulNBits", "MatMulIntegerToFloat", "DynamicQuantizeMatMul",
    "MatMulInteger", "DynamicQuantizeLinear",
}  # fmt: skip


@pytest.mark.parametrize(
    ("variant", "shape"),
    [(v, s) for v in PRECISIONS for s in Shape if s is not Shape.PREFIX or PRECISIONS[v].prefix_graph],
)
def test_onnx_runtime_finds_nothing_left_to_fuse(
    tiny_checkpoint: Path, tmp_path: Path, variant: str, shape: Shape
) -> None:
    path = tmp_path / "model.onnx"
    save_graphs([(path, build(tiny_checkpoint, shape, variant))])
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(path, options, providers=[CPU])
    before, after = (
        Counter(node.op_type for node in ir.load(p).graph.all_nodes() if node.op_type in FUSED)
        for p in (path, tmp_path / "optimized.onnx")
    )
    if PRECISIONS[variant].float16:
        # The CPU has no float16 kernel of QuickGelu, so it is spelled out there; GPUs have one.
        after["QuickGelu"] += after.pop("Sigmoid", 0)
    assert after == before


@pytest.mark.parametrize("shape", Shape)
def test_operators_are_the_fused_ones(tiny_checkpoint: Path, shape: Shape) -> None:
    layers, lm_head = 3, shape is Shape.LM
    for variant, weighted in (("fp32", "MatMul"), ("q4", "MatMulNBits"), ("int8", "MatMulIntegerToFloat")):
        found = Counter(node.op_type for node in build(tiny_checkpoint, shape, variant).graph.all_nodes())
        # The float head counts as a MatMul; the vocabulary projection is quantized like any other.
        heads = int(lm_head or variant == "fp32")
        prefix = shape is Shape.PREFIX
        # The prefix graph's attention of several texts is two pairs of products, with the prefix and with themselves.
        products = 2 * layers if prefix else 0
        assert found[weighted] == 7 * layers + heads + (products if variant == "fp32" else 0)
        assert found["GroupQueryAttention"] == layers
        assert found["FusedMatMul"] == (2 * layers if prefix else 0)
        assert found["Softmax"] == (layers if prefix else 0)
        assert found["SimplifiedLayerNormalization"] == 2 * layers + 1
        assert found["SkipSimplifiedLayerNormalization"] == 2 * layers
        assert found["QuickGelu"] == layers
        assert not found["Sigmoid"]


def test_the_prefix_graph_shares_the_weights_file(tiny_checkpoint: Path, tmp_path: Path) -> None:
    graphs = [(tmp_path / f"{s.value}.onnx", build(tiny_checkpoint, s, "q4")) for s in (Shape.PADDED, Shape.PREFIX)]
    files = save_graphs(graphs)
    assert [path.name for path in files] == ["padded.onnx", "padded.onnx_data", "prefix.onnx"]
    assert files[2].stat().st_size < 60_000


def test_weights_are_split_into_files_that_browsers_can_hold(
    tiny_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = session(tiny_checkpoint, Shape.PADDED, tmp_path / "whole", "q4")
    monkeypatch.setattr("onnxrank.export.artifact.saving.FILE_BYTES", 12_000)
    graphs = [(tmp_path / f"{s.value}.onnx", build(tiny_checkpoint, s, "q4")) for s in (Shape.PADDED, Shape.PREFIX)]
    padded, *data, prefix = save_graphs(graphs)
    assert [path.name for path in data[:2]] == ["padded.onnx_data", "padded.onnx_data_1"]
    tensors = [tensor for _, model in graphs for tensor in model.graph.initializers.values()]
    largest = max(tensor.const_value.nbytes for tensor in tensors if tensor.const_value)
    assert len(data) > 2 and largest > 12_000
    assert max(path.stat().st_size for path in data) == largest
    assert prefix.name == "prefix.onnx"
    ids = random_ids()
    np.testing.assert_array_equal(padded_logits(Session(padded, Device(threads=2)), ids), padded_logits(whole, ids))


def test_an_int8_row_has_its_own_scales(tiny_checkpoint: Path, tmp_path: Path) -> None:
    """Other rows of its batch move a logit far less than quantization does; a scale for the batch moves it as much."""
    sequences = random_ids((40,) * 8)
    exact, int8 = (session(tiny_checkpoint, Shape.PADDED, tmp_path / name, name) for name in ("fp32", "int8"))
    together, alone = (padded_logits(int8, sequences, batch_tokens=budget) for budget in (320, 40))
    error = np.abs(together - padded_logits(exact, sequences)).max()
    assert error > 1e-3
    assert np.abs(together - alone).max() < error / 20


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"hidden_act": "gelu"}, "sets hidden_act to 'gelu', and only 'silu'"),
        ({"use_sliding_window": True}, "sets use_sliding_window to True"),
        ({"layer_types": ["sliding_attention"]}, "lists 'sliding_attention' in layer_types"),
        ({"logit_softcap": 30.0}, "sets 'logit_softcap' to 30.0, which may change the scores"),
        ({"quantization_config": {"bits": 4}}, "sets 'quantization_config'"),
        (
            {"rope_parameters": {"rope_type": "longrope", "factor": 2.0}},
            "RoPE type 'longrope', and default, linear, yarn, llama3",
        ),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0, "phase": 1}}, "RoPE parameter 'phase'"),
    ],
)
def test_a_field_that_changes_the_arithmetic_is_refused_by_name(
    tiny_checkpoint: Path, changes: dict[str, object], sentence: str
) -> None:
    checkpoint = Checkpoint.open(tiny_checkpoint)
    checkpoint.config.update(changes)
    with pytest.raises(UnsupportedError) as caught:
        decoder.cache(checkpoint)
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("model_type", "changes", "sentence"),
    [
        ("llama", {"sliding_window": 64}, "sets 'sliding_window' to 64"),
        ("llama", {"use_sliding_window": True}, "sets 'use_sliding_window' to True"),
        ("qwen2", {"attention_bias": True}, "sets 'attention_bias' to True"),
        ("qwen3", {"mlp_bias": True}, "sets 'mlp_bias' to True"),
    ],
)
def test_a_field_of_another_architecture_is_refused(
    tmp_path: Path, model_type: str, changes: dict[str, object], sentence: str
) -> None:
    checkpoint = Checkpoint.open(write_tiny(tmp_path, model_type=model_type))
    checkpoint.config.update(changes)
    with pytest.raises(UnsupportedError, match=sentence):
        decoder.cache(checkpoint)


def test_a_missing_or_misshapen_tensor_is_named_before_any_is_read(tiny_checkpoint: Path) -> None:
    checkpoint = Checkpoint.open(tiny_checkpoint)
    checkpoint.config["num_hidden_layers"] = 4
    with pytest.raises(CheckpointError, match=r"no tensor 'model\.layers\.3\."):
        architecture(checkpoint).build(checkpoint, Shape.PADDED, 64, head(checkpoint))
    checkpoint.config.update(num_hidden_layers=3, intermediate_size=97)
    with pytest.raises(CheckpointError, match=r"has shape \[96, 64\], and config.json makes it \[97, 64\]"):
        architecture(checkpoint).build(checkpoint, Shape.PADDED, 64, head(checkpoint))
