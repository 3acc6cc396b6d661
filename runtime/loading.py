"""What every scorer does first: open the artifact, choose the variant, check its files, prepare its sessions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from onnxrank.artifact import TOKENIZER, open_artifact
from onnxrank.errors import ArtifactError, InputError
from onnxrank.manifest import Manifest, Scoring, Variant
from onnxrank.session import CPU, Provider, Session, check_providers


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A variant whose files are on disk and have the right hashes."""

    folder: Path
    manifest: Manifest
    name: str
    variant: Variant
    providers: tuple[Provider, ...]
    threads: int | None
    on_cpu: bool

    @property
    def scoring(self) -> Scoring:
        return self.manifest.scoring

    @property
    def tokenizer(self) -> Path:
        return self.folder / TOKENIZER

    def session(self, path: str) -> Session:
        """Return a session of one of the variant's graphs, which is loaded at its first run."""
        return Session(self.folder / path, self.providers, self.threads)


def load(
    source: str | Path,
    opener: str,
    *,
    variant: str | None,
    providers: Sequence[Provider],
    threads: int | None,
    revision: str | None,
) -> Loaded:
    """Open an artifact for the class called `opener`. Raises ArtifactError, HubError, InputError or BackendError."""
    names = check_providers(providers)
    if threads is not None and threads < 1:
        raise InputError(f"threads is {threads}; give at least 1, or leave it out.")
    artifact = open_artifact(source, revision=revision)
    if (fitting := artifact.manifest.scoring.opened_with) != opener:
        raise ArtifactError(f"{source} is no model for {opener}; open it with `onnxrank.{fitting}`.")
    name, files = artifact.variant(variant)
    artifact.fetch(TOKENIZER, *files.files)
    return Loaded(
        folder=artifact.folder,
        manifest=artifact.manifest,
        name=name,
        variant=files,
        providers=tuple(providers),
        threads=threads,
        on_cpu=names == [CPU],
    )


def check_texts(texts: Sequence[str], place: str) -> None:
    """Raise InputError unless `texts` is a list of encodable strings."""
    if isinstance(texts, str):
        raise InputError(f"{place} is a single string; give a list of strings.")
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"{place}[{i}] is {type(text).__name__} {text!r:.60}; give a string.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InputError(
                f"{place}[{i}] holds {text[error.start]!r}, which is no character; "
                "decode the text with errors='replace'."
            ) from error


def check_top_k(top_k: int | None) -> None:
    """Raise InputError unless top_k is None or positive."""
    if top_k is not None and top_k < 1:
        raise InputError(f"top_k is {top_k}; give at least 1, or leave it out to get all documents.")


def limit(wanted: int | None, largest: int) -> int:
    """Return the max_length to use. Raises InputError if it is more than the artifact was exported for."""
    if wanted is None:
        return largest
    if wanted > largest:
        raise InputError(
            f"max_length {wanted} is more than the {largest} this artifact was exported for; "
            f"give at most {largest}, or export it with `--max-length {wanted}`."
        )
    return wanted
