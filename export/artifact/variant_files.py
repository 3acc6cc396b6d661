"""Builds the graphs of one variant and writes them with their weights."""

from collections.abc import Callable, Collection
from pathlib import Path

import onnx_ir as ir

from onnxrank.artifact.manifest import Variant
from onnxrank.artifact.variants import PRECISIONS, Precision
from onnxrank.errors import UnsupportedError
from onnxrank.export.architectures.architecture import Graphs
from onnxrank.export.artifact.saving import save_graphs
from onnxrank.export.checkpoint.vocabulary import Vocabulary
from onnxrank.export.graph.heads import EXACT
from onnxrank.export.options import Options, Setting
from onnxrank.quantize.embedding_rows import keep_rows
from onnxrank.quantize.hessians import Hessians
from onnxrank.quantize.requantize import requantize_graph
from onnxrank.quantize.spread import HADAMARD
from onnxrank.quantize.variants import apply_precision, change_basis
from onnxrank.quantize.wide import spare_bytes, wide_matrices


def write_variant(
    folder: Path,
    name: str,
    graphs: Graphs,
    options: Options,
    vocabulary: Vocabulary | None,
    hessians: Callable[[], Hessians],
) -> Variant:
    """Write the graphs of a variant to `folder`/onnx; return its manifest entry, without parity yet.

    vocabulary: the tokens to keep; None for all. hessians: makes those of a graph's weights.
    """
    precision = PRECISIONS[name]
    padded = f"onnx/model{precision.suffix}.onnx"
    exits = {str(layers): f"onnx/layers_{layers}{precision.suffix}.onnx" for layers in graphs.exits}
    builders: dict[str, Callable[[], ir.Model]] = {padded: graphs.padded}
    prefix: str | None = None
    if options.head == "lm" and graphs.vocabulary:
        builders[padded] = graphs.vocabulary
    elif precision.prefix_graph and graphs.prefix:
        prefix = f"onnx/prefix{precision.suffix or '_fp32'}.onnx"
        builders[prefix] = graphs.prefix
    builders |= {exits[str(layers)]: build for layers, build in graphs.exits.items()}
    models: list[tuple[Path, ir.Model]] = []
    kept: tuple[str, ...] = ()
    wide = frozenset[str]()
    for path, build in builders.items():
        model = build()
        spare = spare_bytes(model, block_size=options.block_size, exclude=EXACT)
        if vocabulary and not keep_rows(model, vocabulary.rows):
            raise UnsupportedError(
                f"{path} has no table of the whole vocabulary that input_ids alone chooses from, for --scripts to "
                "cut; leave --scripts out."
            )
        moments = hessians()
        if precision.weight_bits <= 8:
            change_basis(model, moments, exclude=EXACT)
        # The first graph has all layers; the others share its weights.
        if not models and precision.weight_bits == 4 and options.has_quality(precision):
            wide = wide_matrices(model, moments, spare, block_size=options.block_size, exclude=(HADAMARD, EXACT))
        kept = apply_precision(
            model,
            precision,
            block_size=options.block_size,
            method=options.method,
            wide=wide,
            embedding_bits=options.embedding_bits,
            exclude=EXACT,
            hessians=moments,
            prefix_graph=path == prefix,
        )
        models.append((folder / path, model))
    files = [path.relative_to(folder).as_posix() for path in save_graphs(models)]
    requantize: str | None = None
    if prefix and precision.requantized:
        requantize = f"onnx/requantize{precision.suffix}.onnx"
        ir.save(requantize_graph(models[0][1]), folder / requantize)
        files.append(requantize)
    return Variant(
        padded=padded,
        prefix=prefix,
        requantize=requantize,
        past=None,
        exits=exits,
        files=tuple(files),
        settings=_settings(options, precision, wide),
        kept_float32=kept,
        parity={},
        batch_effect=0.0,
        graph_difference=0.0,
        accepted_loss=False,
        evaluation=None,
    )


def _settings(options: Options, precision: Precision, wide: Collection[str]) -> dict[str, Setting]:
    """Return what the manifest says of how a variant's weights were rounded."""
    settings: dict[str, Setting] = {}
    if precision.weight_bits == 4:
        settings = {
            "block_size": options.block_size,
            "method": options.method,
            "embedding_bits": options.embedding_bits,
        }
    if options.has_quality(precision):
        settings["quality"] = options.quality
    if wide:
        settings["matrices_in_8_bits"] = len(wide)
    return settings
