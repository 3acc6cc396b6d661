"""Checks whether the scorer's token ids are the reference's, and finds the cause if they are not."""

from dataclasses import replace
from pathlib import Path

from onnxrank.artifact.golden import Golden
from onnxrank.artifact.opening import Artifact
from onnxrank.errors import ParityError
from onnxrank.export.checkpoint.tokenizer import read_tokenizer
from onnxrank.export.families.pair_prompt import encoded_whole
from onnxrank.export.proof.oracle import tokenize
from onnxrank.proof.verification import encode_pairs, encode_texts


def with_fitting_prompt(artifact: Artifact, golden: Golden, checkpoint: Path) -> Artifact:
    """Return the artifact with a prompt that gives the reference's token ids: encoded in pieces or, if the tokenizer
    merges text across the places where the prompt is cut, as a whole.

    checkpoint: its folder. Raises ParityError, which names the cause, if neither works.
    """
    scoring = artifact.manifest.scoring
    candidates = [artifact]
    if scoring.prompt and (whole := encoded_whole(scoring.prompt)):
        manifest = replace(artifact.manifest, scoring=replace(scoring, prompt=whole))
        candidates.append(replace(artifact, manifest=manifest))
    for candidate in candidates:
        try:
            (encode_pairs if scoring.prompt else encode_texts)(candidate, golden)
        except ParityError:
            continue
        return candidate
    raise ParityError(_cause(golden, checkpoint))


def _cause(golden: Golden, checkpoint: Path) -> str:
    texts = list(dict.fromkeys(text for pair in golden.pairs for text in (pair.query, pair.document)))
    theirs = tokenize(checkpoint, texts)
    ours = [e.ids for e in read_tokenizer(checkpoint).encode_batch(texts, add_special_tokens=False)]
    for text, expected, found in zip(texts, theirs, ours, strict=True):
        if found != expected:
            return (
                f"transformers {golden.oracle['transformers']} gives {text!r:.60} other token ids than "
                f"{checkpoint.name}/tokenizer.json, because it has a tokenizer of its own for this kind of checkpoint; "
                "if the model was trained with that one, save it with `AutoTokenizer.from_pretrained(...)"
                ".save_pretrained(...)`, else export with the release of transformers that saved the model."
            )
    return (
        f"{checkpoint.name}/tokenizer.json merges text across a place where the prompt is cut, at the end of the "
        "document or around the model's own words, and encoding query and document as one text does not help; "
        "such a checkpoint cannot be exported."
    )
