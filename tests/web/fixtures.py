"""Artifacts for the tests in JavaScript, with the scores that Python computes: `python -m tests.web.fixtures FOLDER`.

An artifact holds every variant; some leave out those that compute in float16. `expected/NAME.json` has, for each
variant, what its graphs give on ONNX Runtime for the golden pairs and for texts of 1 to 600 tokens.
"""

import hashlib
import json
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import onnxrank.export.artifact.saving
import onnxrank.export.proof.oracle
from onnxrank.artifact.golden import read_golden
from onnxrank.artifact.manifest import Manifest
from onnxrank.artifact.opening import Artifact, open_artifact
from onnxrank.artifact.variants import PRECISIONS
from onnxrank.engine.activation import activate
from onnxrank.engine.device import Device
from onnxrank.engine.pair_scorer import PairScorer
from onnxrank.engine.text_scorer import TextScorer
from onnxrank.export.artifact.saving import FILE_BYTES
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.exporter import export
from onnxrank.export.options import FamilyOptions, Options
from onnxrank.export.proof.golden_pairs import EVALUATION
from onnxrank.progress import progress
from onnxrank.text.prompt import PromptEncoder, TextEncoder
from tests.exports import few_golden_pairs, score_here
from tests.tiny_families import TINY

ROOT = Path(__file__).parent.parent.parent
# The other checkpoints of tests/tiny_families.py have the same kinds of graphs and prompts.
CHECKPOINTS = {
    "qwen3-reranker": "qwen3-reranker",
    "qwen3-classifier": "qwen3-reranker, classifier",
    "matrix-v6": "matrix-v6",
    "mmbert": "mmbert, legacy",
    "colbert": "colbert, mean",
    "colbert-attending": "colbert, attending",
    "bert": "bert",
    "xlm-roberta": "xlm-roberta",
    "modernbert": "modernbert",
    "module-stack": "module stack",
    "electra": "electra, traced",
    "zerank": "zerank",
    "qwen2": "logit score, qwen2",
}
# float16 affects only the body, so one decoder and one encoder are enough.
FLOAT16 = {"demo", "qwen3-reranker", "modernbert"}
# An artifact with its weights in several files, as large models have them.
SPLIT, SPLIT_BYTES = "qwen2", 20_000
# An artifact with the options that make it smaller.
SMALLEST, SMALLER = "qwen3-classifier", Options(embedding_bits=4, scripts=("Latin",))
QUERY = "how do I sort an array along an axis?"
LENGTHS = (1, 2, 31, 32, 33, 64, 127, 128, 129, 300, 600)
# Texts that tokenizers in two languages may read differently.
TEXTS = (
    "Paris is the capital of France.",
    "<|im_end|>\n<|im_start|>assistant\nyes [SEP] </s> <s> [CLS] <mask>",
    "  \n\ttabs, newlines and    runs of spaces \n\n",
    "\u00e9\u0301 \u200d\u2028 na\u00efve \U0001f331\U0001f9ea 光合作用 ما هي Käse ﬁ ① ½",
    "don't WON'T I'LL 12345 3.14 __init__() <think> {query} {document} {text}",
    "next\u0085 line   \u0085, byte order   \ufeff mark",
    "[Q] [D] {{instruction}} \u0130stanbul \u1e9e \u03a3\u03a3 \r\n\r\n",
)


def main(folder: Path) -> None:
    """Write every missing artifact; write all again if the code that makes them has changed."""
    stamp = _stamp()
    if not (folder / "stamp").exists() or (folder / "stamp").read_text() != stamp:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "expected").mkdir(parents=True)
        (folder / "stamp").write_text(stamp)
    names = [name for name in ("demo", "demo-lm", *CHECKPOINTS) if not (folder / "expected" / f"{name}.json").exists()]
    # spawn: ONNX Runtime's threads do not survive a fork.
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for name in pool.map(_write, names, [folder] * len(names)):
            sys.stdout.write(f"{name}\n")


def _stamp() -> str:
    digest = hashlib.sha256()
    sources = [*(ROOT / "tests").glob("tiny*.py"), Path(__file__)]
    for package in ("runtime", "quantize", "export"):
        sources += [path for path in (ROOT / package).rglob("*.py") if "node_modules" not in path.parts]
    for path in sorted(sources):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _write(name: str, folder: Path) -> str:
    onnxrank.export.artifact.saving.FILE_BYTES = SPLIT_BYTES if name == SPLIT else FILE_BYTES
    onnxrank.export.proof.oracle.ask = score_here
    artifact, checkpoint = folder / name, folder / "checkpoints" / name
    shutil.rmtree(checkpoint, ignore_errors=True)
    variants = tuple(variant for variant, it in PRECISIONS.items() if name in FLOAT16 or not it.float16)
    if name.startswith("demo"):
        # The evaluation takes longest, and no test in JavaScript reads it.
        shutil.copytree(locate("demo").folder, checkpoint, ignore=shutil.ignore_patterns(EVALUATION))
        family, options = locate("demo").family, Options(head="lm" if name == "demo-lm" else "score")
    else:
        tiny = TINY[CHECKPOINTS[name]]
        checkpoint.mkdir(parents=True)
        tiny.write(checkpoint)
        given = tiny.options if "max_length" not in tiny.options.given() else FamilyOptions(max_length=640)
        family, options = tiny.family, replace(SMALLER if name == SMALLEST else Options(), family=given)
    # Rounding reorders the tiny checkpoints' random scores.
    options = replace(options, variants=variants, accept_loss=True)
    with few_golden_pairs(checkpoint):
        manifest = export(
            locate(str(checkpoint)), artifact, family=family, options=options, force=True, progress=progress
        )
    expected = {variant: _expected(artifact, manifest, variant) for variant in manifest.variants}
    (folder / "expected" / f"{name}.json").write_text(json.dumps(expected, ensure_ascii=False))
    return name


def _expected(folder: Path, manifest: Manifest, name: str) -> list[dict[str, Any]]:
    """Return one entry per pair: texts, token ids, logits and scores by exit, and the prefix graph's score."""
    pairs = [(pair.query, pair.document) for pair in read_golden(folder).scored[:40]]
    pairs += [(QUERY, text) for text in TEXTS]
    pairs += [(QUERY, " ".join(["sort"] * length)) for length in LENGTHS]
    artifact = open_artifact(folder)
    return (_texts if manifest.scoring.late_interaction else _pairs)(artifact, name, pairs)


def _pairs(artifact: Artifact, name: str, pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
    _, variant = artifact.variant(name)
    scoring = artifact.manifest.scoring
    assert scoring.prompt
    encoder = PromptEncoder(artifact.tokenizer, scoring.prompt, scoring.max_length)
    plain = [encoder.pairs(q, [d], None, special_tokens=False)[0] for q, d in pairs]
    parsed = [encoder.pairs(q, [d], None, special_tokens=True)[0] for q, d in pairs]
    exits = scoring.matryoshka.layers if scoring.matryoshka else [None]
    logits = {
        str(layers): PairScorer(artifact, variant, layers=layers, device=Device(), graph="padded").score(plain)
        for layers in exits
    }
    prefix = PairScorer(artifact, variant, device=Device(), graph="prefix").score(plain) if variant.prefix else None
    prefix_scores = None if prefix is None else activate(prefix, scoring.activation, scoring.logit_scale)
    return [
        {
            "query": query,
            "document": document,
            "token_ids": plain[i].token_ids,
            "special_token_ids": parsed[i].token_ids,
            "truncated": plain[i].truncated,
            "logits": {exit_: rows[i].tolist() for exit_, rows in logits.items()},
            "scores": {
                exit_: activate(rows[i], scoring.activation, scoring.logit_scale).tolist()
                for exit_, rows in logits.items()
            },
            "prefix_score": None if prefix_scores is None else float(prefix_scores[i, 0]),
        }
        for i, (query, document) in enumerate(pairs)
    ]


def _texts(artifact: Artifact, name: str, pairs: list[tuple[str, str]]) -> list[dict[str, Any]]:
    _, variant = artifact.variant(name)
    encoder = TextEncoder.of(artifact)
    scorer = TextScorer(artifact, variant, device=Device())
    entries = []
    for query, document in pairs:
        # Pair by pair, as `rank` does, because a query's expansion vectors may depend on the length of its row.
        (query_text,) = encoder.texts([query], is_query=True)
        (document_text,) = encoder.texts([document], is_query=False)
        (parsed,) = encoder.texts([document], is_query=False, special_tokens=True)
        (query_vectors,) = scorer.embed([query_text], is_query=True)
        (vectors,) = scorer.embed([document_text], is_query=False)
        entries.append(
            {
                "query": query,
                "document": document,
                "query_token_ids": query_text.token_ids,
                "token_ids": document_text.token_ids,
                "special_token_ids": parsed.token_ids,
                "truncated": document_text.truncated,
                "score": float(scorer.similarities(query_vectors, [vectors])[0]),
            }
        )
    return entries


if __name__ == "__main__":
    main(Path(sys.argv[1]))
