"""Opens an artifact folder, on disk or on a hub: reads its manifest and checks the hashes of its files."""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from onnxrank.artifact.hub import HubAccess, looks_like_repo_id, snapshot
from onnxrank.artifact.manifest import GOLDEN, MANIFEST, Manifest, Variant, read_manifest
from onnxrank.artifact.variants import PRECISIONS, default_variant
from onnxrank.errors import ArtifactError, InputError

TOKENIZER = "tokenizer.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A readable artifact.

    repository: (hub id, commit) if files may still have to be downloaded, with `access`. checked: names of files whose
    hash has been checked; each file is hashed at most once.
    """

    folder: Path
    manifest: Manifest
    repository: tuple[str, str] | None = None
    access: HubAccess | None = None
    checked: set[str] = field(default_factory=set)

    @property
    def tokenizer(self) -> Path:
        return self.folder / TOKENIZER

    def variant(self, name: str | None, *, on_cpu: bool = True) -> tuple[str, Variant]:
        """Return the variant called `name`, or for None the best one for the device.

        Raises ArtifactError if it was not exported.
        """
        variants = self.manifest.variants
        chosen = default_variant(variants, on_cpu=on_cpu) if name is None else name
        if chosen not in variants:
            export = f", or export it with `export-model ... --variant {chosen}`" if chosen in PRECISIONS else ""
            raise ArtifactError(f"{self.folder} has no variant {chosen!r}; give one of {', '.join(variants)}{export}.")
        return chosen, variants[chosen]

    def identity(self, variant: Variant) -> str:
        """Return a hash of a variant's files, which depends on the graphs and weights but not on the folder."""
        hashes = sorted(f"{name} {self.manifest.files[name].sha256}" for name in variant.files)
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest()

    def fetch(self, *names: str) -> None:
        """Make files available and check their sizes and hashes, each once.

        Raises ArtifactError for a missing or altered file, HubError for a failed download.
        """
        wanted = [name for name in dict.fromkeys(names) if name not in self.checked]
        if self.repository and wanted:
            snapshot(self.repository[0], revision=self.repository[1], allow_patterns=wanted, access=self.access)
        for name in wanted:
            self._check(name)
            self.checked.add(name)

    def _check(self, name: str) -> None:
        entry = self.manifest.files.get(name)
        if entry is None:
            raise ArtifactError(f"{self.folder / MANIFEST} does not list {name}; export the artifact again.")
        path = self.folder / name
        try:
            same = path.stat().st_size == entry.bytes and sha256(path) == entry.sha256
        except FileNotFoundError as error:
            raise ArtifactError(f"{path} is missing; export or download the artifact again.") from error
        except OSError as error:
            raise ArtifactError(
                f"{path} cannot be read ({error.strerror}); export or download the artifact again."
            ) from error
        if not same:
            raise ArtifactError(
                f"{path} is not the file that was exported (its hash differs); export or download the artifact again."
            )


def sha256(path: Path) -> str:
    """Return the hex digest of a file."""
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def open_artifact(
    source: str | Path | Artifact, *, revision: str | None = None, access: HubAccess | None = None
) -> Artifact:
    """Return the artifact in a folder, or of a hub id such as "owner/name" (only small files are downloaded).

    Raises InputError if `source` is neither, ArtifactError for a bad manifest, HubError for a failed download.
    """
    if isinstance(source, Artifact):
        return source
    folder = Path(source)
    if folder.is_dir():
        if revision is not None:
            raise InputError(f"revision {revision!r} is for hub ids, but {folder} is a folder; leave it out.")
        return Artifact(folder=folder, manifest=read_manifest(folder))
    if not looks_like_repo_id(str(source)):
        raise InputError(
            f"{str(source)!r} is neither a folder nor a hub id (owner/name); give the folder that `export-model` wrote."
        )
    return open_repository(str(source), revision=revision, access=access)


def open_repository(repo_id: str, *, revision: str | None, access: HubAccess | None) -> Artifact:
    """Return the artifact of a hub id, of which only small files are downloaded.

    Raises ArtifactError for a bad manifest, HubError for a failed download.
    """
    fetched = snapshot(repo_id, revision=revision, allow_patterns=[MANIFEST, GOLDEN, TOKENIZER], access=access)
    return Artifact(
        folder=fetched.folder,
        manifest=read_manifest(fetched.folder),
        repository=(repo_id, fetched.revision),
        access=access,
    )


def require_opener(artifact: Artifact, opener: str) -> None:
    """Raise ArtifactError unless the class called `opener` scores with this artifact."""
    if (fitting := artifact.manifest.scoring.opened_with) != opener:
        raise ArtifactError(f"{artifact.folder} is no model for {opener}; open it with `onnxrank.{fitting}`.")
