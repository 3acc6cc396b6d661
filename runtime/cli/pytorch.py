"""Has PyTorch score a person's own pairs, in the process of the exporter's oracle."""

from collections.abc import Sequence
from pathlib import Path

from onnxrank.artifact.golden import Golden, GoldenPair
from onnxrank.artifact.hub import looks_like_repo_id
from onnxrank.artifact.manifest import Manifest
from onnxrank.cli.console import misused
from onnxrank.progress import progress as progress_bar
from onnxrank.proof.verification import repeat_oracle
from onnxrank.quality.candidates import Candidates
from onnxrank.quality.reference import Reference, ScoredPair


def ask_pytorch(
    manifest: Manifest, candidates: Sequence[Candidates], against: str | None, progress: bool | None
) -> Reference:
    """Return PyTorch's scores of the checkpoint `against`, by default the one that the artifact was exported from.

    The oracle takes one instruction at a time. It leaves out documents with tokens that the artifact's scripts lack.
    """
    checkpoint, revision = (against, None) if against else _source(manifest)
    wanted: dict[str | None, dict[tuple[str, str], None]] = {}
    for one in candidates:
        wanted.setdefault(one.instruction, {}).update({(one.query, text): None for text in one.documents})
    scored: list[ScoredPair] = []
    oracle: dict[str, str] = {}
    with progress_bar("scoring with PyTorch", sum(map(len, wanted.values())), progress) as done:
        for instruction, texts in wanted.items():
            pairs = tuple(
                GoldenPair(
                    query=query, document=document, query_token_ids=(), token_ids=(), logits=(0.0,), relevance=None
                )
                for query, document in texts
            )
            golden = repeat_oracle(
                manifest,
                Golden(oracle={}, pairs=pairs),
                checkpoint,
                revision=revision,
                instruction=instruction,
                done=done,
            )
            oracle = golden.oracle
            scored += [
                ScoredPair(query=pair.query, document=pair.document, instruction=instruction, logits=pair.logits or ())
                for pair in golden.pairs
            ]
    return Reference(
        checkpoint=checkpoint, family=manifest.family, options=manifest.options, oracle=oracle, pairs=tuple(scored)
    )


def _source(manifest: Manifest) -> tuple[str, str | None]:
    """Return the checkpoint and the revision that the artifact was exported from."""
    source = manifest.source
    # The checkpoints inside the package have an alias and no repository.
    name = source.id.removeprefix("onnxrank/")
    if name != source.id or looks_like_repo_id(source.id):
        return name, source.revision
    if Path(name).is_dir():
        return f"./{name}", None
    raise misused(f"{manifest.name} was exported from the folder {name}, which is not here; name it with --against.")
