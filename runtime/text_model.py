"""The base of models that embed texts one by one: opening and encoding."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar, Self

from onnxrank.artifact.hub import HubAccess
from onnxrank.artifact.manifest import Manifest
from onnxrank.artifact.opening import TOKENIZER, Artifact, open_artifact, require_opener
from onnxrank.engine.device import Device, Memory, Provider
from onnxrank.engine.text_scorer import TextScorer
from onnxrank.text.documents import list_of_texts
from onnxrank.text.prompt import EncodedText, TextEncoder


class TextModel:
    """The base of `Embedder` and `LateInteraction`. Safe to share between threads, to pickle and to fork."""

    _opener: ClassVar[str]

    def __init__(
        self,
        source: str | Path | Artifact,
        *,
        variant: str | None = None,
        device: str | None = None,
        providers: Sequence[Provider] | None = None,
        threads: int | None = None,
        memory: Memory = "normal",
        revision: str | None = None,
        token: str | bool | None = None,
        cache_folder: str | Path | None = None,
        local_files_only: bool = False,
    ) -> None:
        """Open an artifact; the arguments are those of `Reranker`.

        Raises ArtifactError, HubError, InputError or BackendError.
        """
        runs_on = Device.of(device, providers, threads, memory)
        access = HubAccess(token=token, cache_folder=cache_folder, local_files_only=local_files_only)
        artifact = open_artifact(source, revision=revision, access=access)
        require_opener(artifact, self._opener)
        self.manifest: Manifest = artifact.manifest
        self.variant, files = artifact.variant(variant, on_cpu=runs_on.on_cpu)
        self.identity = artifact.identity(files)
        # The folder, or the hub id and commit: what opens this model again.
        self.opened_from: tuple[str, str | None] = artifact.repository or (str(artifact.folder.resolve()), None)
        artifact.fetch(TOKENIZER)
        self._encoder = TextEncoder.of(artifact)
        self._scorer = TextScorer(artifact, files, device=runs_on)

    def close(self) -> None:
        """Free the weights and threads; a later call loads them again. `with` does this at the end of its block."""
        self._scorer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{self._opener}({self.manifest.name!r}, variant={self.variant!r})"

    def _encode(
        self, texts: Iterable[str], is_query: bool, instruction: str | None, special_tokens: bool
    ) -> list[EncodedText]:
        listed = list_of_texts(texts, "texts")
        return self._encoder.texts(listed, is_query=is_query, instruction=instruction, special_tokens=special_tokens)
