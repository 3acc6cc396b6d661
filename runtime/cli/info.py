"""`onnxrank info`: what an artifact holds."""

from onnxrank.artifact.manifest import Variant
from onnxrank.artifact.opening import open_artifact
from onnxrank.artifact.schema import write
from onnxrank.cli.console import say, show_json, show_table
from onnxrank.cli.options import ArtifactArgument, JsonOption, RevisionOption
from onnxrank.proof.parity import PARITY_COLUMNS, accepted_losses, parity_rows


def info(artifact: ArtifactArgument, revision: RevisionOption = None, as_json: JsonOption = False) -> None:
    """Show what an artifact holds: source, prompt, variants, sizes, parity.

    `onnxrank info artifacts/demo`
    """
    manifest = open_artifact(artifact, revision=revision).manifest
    if as_json:
        show_json(write(manifest))
        return
    source = manifest.source
    say(f"{manifest.name}: {source.id}{f' at {source.revision}' if source.revision else ''}")
    scoring = manifest.scoring
    traced = ", traced by PyTorch" if manifest.traced else ""
    say(f"family {manifest.family}{traced}, up to {scoring.max_length} tokens, activation {scoring.activation}")
    reads = scoring.prompt or scoring.texts
    if reads and reads.default_instruction:
        say(f"instruction: {reads.default_instruction}")
    if scoring.matryoshka:
        exits, widths = (
            ", ".join(map(str, choices)) for choices in (scoring.matryoshka.layers, scoring.matryoshka.dims)
        )
        say(f"exits after layers {exits}; widths {widths}")
    rows = [
        [name, f"{sum(manifest.files[f].bytes for f in v.files) / 1e6:,.1f}", *_facts(v)]
        for name, v in manifest.variants.items()
    ]
    show_table("variants", ["variant", "MB", "settings", "kept in float32"], rows)
    rows = [row for n, v in manifest.variants.items() for row in parity_rows(n, v)]
    show_table("difference from PyTorch", PARITY_COLUMNS, rows)
    for sentence in accepted_losses(manifest):
        say(sentence)


def _facts(variant: Variant) -> tuple[str, str]:
    settings = ", ".join(f"{key} {value}" for key, value in variant.settings.items())
    return settings or "-", ", ".join(variant.kept_float32) or "-"
