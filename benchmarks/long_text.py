"""Measures how memory and time of an mmBERT artifact grow with text length, and what its blocks cost for short texts.

`python -m benchmarks.long_text build/mmbert-artifact`
"""

import resource
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.timing import medians
from onnxrank.cli.console import show_json
from onnxrank.reranker import Reranker

LENGTHS = (512, 2048, 8192, 32768)
QUERY = "What did the committee decide about the west roof?"
FILLER = (
    "The committee met on the second Tuesday of the month and took minutes. The west roof was repaired in spring. "
    "The yearly inventory counted chairs, lamps and shelves. Opening hours stay as they are until further notice. "
)
# mmBERT-base: 14 of its 22 layers slide.
LAYERS, HEADS, HEAD_DIM, WINDOW = 14, 12, 64, 64


def main(
    artifact: Annotated[Path, typer.Argument(help="Folder that `benchmarks.encoders mmbert --keep` left.")],
    variant: Annotated[str, typer.Option(help="Which variant.")] = "fp32",
    checkpoint: Annotated[Path, typer.Option(help="Its checkpoint.")] = Path("build/mmbert-full-size"),
    lengths: Annotated[list[int], typer.Option("--length", help="Tokens; may be repeated.")] = list(LENGTHS),  # noqa: B006
    repeats: Annotated[int, typer.Option(help="Timings of each short run; the median counts.")] = 7,
) -> None:
    """Print the measurements as JSON."""
    show_json(
        {
            "variant": variant,
            "lengths": {str(length): alone(long_text, artifact, variant, length) for length in lengths},
            "short_score_of_512_tokens": alone(against_torch, artifact, variant, checkpoint, repeats),
            "sliding_layers": {
                str(length): alone(blocks_against_dense, length, repeats) for length in (128, 512, 2048)
            },
        }
    )


def alone(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function in a fresh process, so that peak memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def document_for(reranker: Reranker, length: int) -> str:
    """Return a text that fills a pair of `length` tokens."""
    (tokens,) = reranker.score([("", FILLER)]).tokens
    return FILLER * (length // (int(tokens) - 8) + 1)


def long_text(artifact: Path, variant: str, length: int, layers: int | None = None) -> dict[str, float]:
    """Score one text of `length` tokens; ru_maxrss is in kilobytes on Linux."""
    reranker = Reranker(artifact, variant=variant, layers=layers, max_length=length)
    document = document_for(reranker, length)
    loaded = _peak()
    start = time.perf_counter()
    found = reranker.score([(QUERY, document)])
    seconds = time.perf_counter() - start
    assert found.tokens.tolist() == [length] and np.isfinite(found.logits).all()
    return {
        "peak_megabytes": _peak(),
        "peak_megabytes_before": loaded,
        "seconds": round(seconds, 2),
        "microseconds_per_token": round(seconds / length * 1e6),
    }


def against_torch(artifact: Path, variant: str, checkpoint: Path, repeats: int) -> dict[str, Any]:
    """Time a score of 512 tokens, and the same encoder in PyTorch, whose sliding layers compute and mask all pairs.

    Both read the same token ids.
    """
    import torch
    import transformers

    from onnxrank.artifact.opening import open_artifact
    from onnxrank.engine.device import Device
    from onnxrank.engine.pair_scorer import PairScorer
    from onnxrank.text.prompt import PromptEncoder

    opened = open_artifact(artifact)
    prompt = opened.manifest.scoring.prompt
    assert prompt
    (pair,) = PromptEncoder(opened.tokenizer, prompt, 512).pairs(QUERY, [FILLER * 20], None, special_tokens=False)
    assert len(pair.token_ids) == 512
    scorer = PairScorer(opened, opened.variant(variant)[1], device=Device())
    model = transformers.AutoModel.from_pretrained(checkpoint, dtype=torch.float32, attn_implementation="sdpa").eval()
    ids = torch.tensor([pair.token_ids])
    with torch.inference_mode():
        ours, theirs = medians(
            [
                lambda: scorer.score([pair]),
                lambda: model(input_ids=ids, attention_mask=torch.ones_like(ids)),
            ],
            repeats,
        )
    return {
        "seconds": round(ours, 3),
        "seconds_of_pytorch_sdpa_fp32": round(theirs, 3),
        "ratio": round(ours / theirs, 2),
        "threads_of_pytorch": torch.get_num_threads(),
    }


def blocks_against_dense(length: int, repeats: int) -> dict[str, float]:
    """Time the attention of all sliding layers, in blocks and dense with an additive bias of length x length.

    Each graph computes its mask once, as a whole model does.
    """
    import onnx_ir as ir

    from onnxrank.export.graph.builder import GraphBuilder
    from onnxrank.export.graph.decoder_inputs import FLOAT, MASKED
    from onnxrank.export.graph.encoder_inputs import EncoderInputs, encoder_inputs, multi_head_attention
    from onnxrank.export.graph.sliding_attention import SlidingAttention

    def blocks(b: GraphBuilder, inputs: EncoderInputs) -> Callable[..., ir.Value]:
        return SlidingAttention(b, inputs, heads=HEADS, head_dim=HEAD_DIM, window=WINDOW, masked_row=None)

    def dense(b: GraphBuilder, inputs: EncoderInputs) -> Callable[..., ir.Value]:
        index = b.op("Range", b.constant(0, "zero"), b.op("Squeeze", b.op("Shape", inputs.token_ids, start=1, end=2)),
                     b.constant(1, "one"))  # fmt: skip
        distance = b.op("Abs", b.op("Sub", b.op("Unsqueeze", index, b.constant([-1], "last_axis")), index))
        near = b.op("LessOrEqual", distance, b.constant(WINDOW, "window"))
        seen = b.op("And", near, b.op("Unsqueeze", inputs.visible, b.constant([1, 2], "axes_1_2")))
        bias = b.op("Where", seen, b.constant(0.0, "seen"), b.constant(MASKED, "masked"))
        return lambda query, key, value, name: multi_head_attention(
            b, query, key, value, bias, heads=HEADS, scale=HEAD_DIM**-0.5, name=name
        )

    width = HEADS * HEAD_DIM
    rng = np.random.default_rng(0)
    feeds: dict[str, Any] = {
        "input_ids": np.zeros((1, length), np.int64),
        "attention_mask": np.ones((1, length), np.int64),
    }
    feeds |= {name: rng.standard_normal((1, length, width), np.float32) for name in ("query", "key", "value")}

    def runner(make: Callable[[GraphBuilder, EncoderInputs], Callable[..., ir.Value]]) -> Callable[[], Any]:
        import onnxruntime

        b = GraphBuilder()
        attend = make(b, encoder_inputs(b, token_types=False))
        shape: list[int | str] = ["batch_size", "sequence_length", width]
        x, key, value = (b.input(name, FLOAT, shape) for name in ("query", "key", "value"))
        for layer in range(LAYERS):
            x = attend(x, key, value, f"layer.{layer}")
        model = ir.to_proto(b.model({"attended": (x, FLOAT, shape)})).SerializeToString()
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        return lambda: session.run(["attended"], feeds)[0]

    runners = [runner(blocks), runner(dense)]
    difference = float(np.abs(runners[0]() - runners[1]()).max())
    in_blocks, in_full = medians(runners, repeats)
    return {
        "milliseconds_in_blocks": round(in_blocks * 1e3, 1),
        "milliseconds_dense": round(in_full * 1e3, 1),
        "ratio": round(in_blocks / in_full, 2),
        "largest_difference": difference,
    }


def _peak() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


if __name__ == "__main__":
    typer.run(main)
