"""Finds the checkpoint folder for a source: an alias, a hub id or a folder."""

import difflib
import os
from dataclasses import dataclass
from pathlib import Path

from onnxrank.artifact.hub import looks_like_repo_id, snapshot
from onnxrank.errors import InputError
from onnxrank.export.checkpoint.aliases import ALIASES, UNSTATED
from onnxrank.export.checkpoint.card import licence as read_licence
from onnxrank.export.checkpoint.checkpoint import LEGACY_HEADS
from onnxrank.export.checkpoint.other_formats import refuse_gguf

# Pickles are downloaded only where there is no safetensors file, and are read with weights_only; the exception is a
# small one. In these patterns, * also matches slashes.
PATTERNS = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.jinja",
    "*.safetensors",
    "model.safetensors.index.json",
    "README.md",
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "matryoshka_config.json",
    "*/config.json",
    "adapter_config.json",
    LEGACY_HEADS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointSource:
    """A checkpoint folder and where it came from. `id` is a hub id or a folder's name, never a path."""

    name: str
    id: str
    folder: Path
    revision: str | None
    family: str | None
    licence: str | None


def locate(source: str, *, revision: str | None = None) -> CheckpointSource:
    """Return the checkpoint that `source` names, downloading it if it is on the hub.

    An alias takes precedence (write ./demo for a folder of that name), then a folder, then a hub id.
    Raises InputError if it is none of these, UnsupportedError if it is GGUF, HubError if the download fails.
    """
    alias = ALIASES.get(source)
    if alias and alias.repo_id is None:
        _refuse_revision(revision, source)
        folder = Path(__file__).parent.parent / source.replace("-", "_")
        return CheckpointSource(
            name=source,
            id=f"onnxrank/{source}",
            folder=folder,
            revision=None,
            family=alias.family,
            licence=alias.licence,
        )
    if alias is None and os.path.isdir(source):  # Path.is_dir is true for "" and raises for an overlong name
        _refuse_revision(revision, source)
        folder = Path(source).resolve()
        return CheckpointSource(
            name=folder.name,
            id=folder.name,
            folder=folder,
            revision=None,
            family=None,
            licence=read_licence(folder),
        )
    if source.lower().endswith(".gguf") and os.path.isfile(source):
        refuse_gguf(source)
    repo_id = alias.repo_id if alias and alias.repo_id else source
    known = alias or next((other for other in ALIASES.values() if other.repo_id == source), None)
    if not looks_like_repo_id(repo_id):
        raise InputError(_unknown(source))
    if repo_id.lower().endswith("-gguf"):
        refuse_gguf(repo_id)
    fetched = snapshot(repo_id, revision=revision, allow_patterns=PATTERNS)
    if pickles := _pickles(fetched.folder):
        fetched = snapshot(repo_id, revision=revision, allow_patterns=[*PATTERNS, *pickles])
    return CheckpointSource(
        name=source if alias else repo_id.split("/")[1].lower(),
        id=repo_id,
        folder=fetched.folder,
        revision=fetched.revision,
        family=known.family if known else None,
        licence=read_licence(fetched.folder) or (known.licence if known and known.licence != UNSTATED else None),
    )


def _pickles(folder: Path) -> list[str]:
    """Return the patterns of the pickles to download for the model and its Dense modules: where safetensors miss."""
    places = [folder, *folder.glob("*_Dense")]
    bare = [place.relative_to(folder) for place in places if not any(place.glob("*.safetensors"))]
    return [(place / "pytorch_model*.bin*").as_posix() for place in bare]


def _refuse_revision(revision: str | None, source: str) -> None:
    if revision is not None:
        raise InputError(f"--revision {revision} is for hub ids, and {source} is a local folder; leave it out.")


def _unknown(source: str) -> str:
    if source.startswith((".", "/", "~")) or "\\" in source or source.count("/") > 1:
        return f"{source} is no folder; check the path."
    near = difflib.get_close_matches(source, ALIASES, n=1, cutoff=0.4)
    remedy = f"did you mean {near[0]}?" if near else "see `export-model --list`."
    return f"{source!r} is neither an alias ({', '.join(ALIASES)}), a folder, nor a hub id (owner/name); {remedy}"
