"""Turns text into token ids; control tokens inside texts are encoded as plain text."""

import json
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from tokenizers import Encoding, Tokenizer

from onnxrank.errors import ArtifactError, RerankError, one_line

# A Unigram model finds its pieces in any text, so a control token's piece is renamed. The new name starts with this
# private-use character, which ordinary text does not contain, and goes on with random ones, which no text can guess.
PLACEHOLDER = "\ue000"


@contextmanager
def errors_as(kind: type[RerankError], problem: str, remedy: str) -> Iterator[None]:
    """Turn errors of the tokenizers library into a sentence: it raises bare exceptions."""
    try:
        yield
    except BaseException as error:
        # A panic in the library's Rust code is no Exception.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise kind(f"{problem} ({one_line(error)}); {remedy}.") from error
        raise


class TextTokenizer:
    """Encodes texts without the tokenizer's own template. Picklable."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def encode(self, texts: Sequence[str], *, special_tokens: bool) -> list[tuple[int, ...]]:
        """Return each text's token ids; the rest is as for `encodings`."""
        return [tuple(encoding.ids) for encoding in self.encodings(texts, special_tokens=special_tokens)]

    def encodings(self, texts: Sequence[str], *, special_tokens: bool) -> list[Encoding]:
        """Return each text's token ids, and the characters that each token stands for; control tokens inside are parsed
        if `special_tokens`, else plain text.

        Raises ArtifactError if the file is not a tokenizer, or fails on these texts.
        """
        # Most texts contain no control token; then both tokenizers agree, and the second is not built.
        plain = not special_tokens and any(self._control_token.search(text) for text in texts)
        tokenizer = self._plain if plain else self._full
        with errors_as(ArtifactError, f"{self._file} cannot encode the texts", "export the artifact again"):
            return tokenizer.encode_batch(list(texts), add_special_tokens=False)

    @cached_property
    def _full(self) -> Tokenizer:
        with errors_as(ArtifactError, f"{self._file} is no tokenizer", "export the artifact again"):
            return _without_limits(Tokenizer.from_file(str(self._file)))

    @cached_property
    def _plain(self) -> Tokenizer:
        """The tokenizer without control tokens."""
        data = json.loads(self._file.read_text(encoding="utf-8"))
        control = {token["content"] for token in data["added_tokens"] if _is_control(token["content"])}
        data["added_tokens"] = [token for token in data["added_tokens"] if token["content"] not in control]
        data["post_processor"] = None
        model = data["model"]
        if model.get("type") == "Unigram":
            # A placeholder keeps the piece's position in the list, which is its id.
            secret = PLACEHOLDER + secrets.token_hex(16)
            model["vocab"] = [
                [f"{secret}{i}" if piece in control and i != model.get("unk_id") else piece, score]
                for i, (piece, score) in enumerate(model["vocab"])
            ]
        with errors_as(ArtifactError, f"{self._file} is no tokenizer", "export the artifact again"):
            return _without_limits(Tokenizer.from_str(json.dumps(data, ensure_ascii=False)))

    @cached_property
    def _control_token(self) -> re.Pattern[str]:
        control = [t for t in self._full.get_added_tokens_decoder().values() if _is_control(t.content)]
        if any(token.normalized for token in control):
            # Normalization can produce such a token, so a search of the raw text would miss it.
            return re.compile("")
        return re.compile("|".join(re.escape(token.content) for token in control) or r"(?!)")

    def __getstate__(self) -> dict[str, Any]:
        return {"_file": self._file}


def _is_control(token: str) -> bool:
    # Some tokenizers add tokens for runs of spaces or newlines; these are ordinary text.
    return bool(token.replace("\u2581", "").strip())


def _without_limits(tokenizer: Tokenizer) -> Tokenizer:
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer
