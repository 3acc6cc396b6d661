"""Reads a checkpoint's tokenizer files."""

from importlib.metadata import version
from pathlib import Path

from tokenizers import Encoding, Tokenizer

from onnxrank.artifact.opening import TOKENIZER
from onnxrank.errors import CheckpointError, UnsupportedError
from onnxrank.export.checkpoint.checkpoint import Checkpoint, read_json
from onnxrank.text.tokenizer import errors_as


def read_tokenizer(folder: Path) -> Tokenizer:
    """Return tokenizer.json without truncation and padding; raises CheckpointError if it is missing or damaged."""
    path = folder / TOKENIZER
    if not path.is_file():
        raise CheckpointError(
            f"{folder} has no {TOKENIZER}; save it with `AutoTokenizer.from_pretrained(...).save_pretrained(...)`."
        )
    with errors_as(CheckpointError, f"{path} is no tokenizer", "download the checkpoint again"):
        tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def fixed_token_ids(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    """Return a text's token ids; control tokens are parsed, and none are added. Raises as `encoded` does."""
    return tuple(encoded(tokenizer, text, add_special_tokens=False).ids)


def encoded(tokenizer: Tokenizer, text: str, pair: str | None = None, *, add_special_tokens: bool = True) -> Encoding:
    """Return the encoding of a text, or of two. Raises CheckpointError if the tokenizer fails on them."""
    with errors_as(CheckpointError, f"the tokenizer cannot encode {text!r:.60}", "download the checkpoint again"):
        return tokenizer.encode(text, pair, add_special_tokens=add_special_tokens)


def template_token_ids(tokenizer: Tokenizer) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the ids that the tokenizer's own template puts before and after a text, such as [CLS] and [SEP]."""
    encoding = encoded(tokenizer, "a")
    sides = encoding.sequence_ids
    if 0 not in sides:
        raise CheckpointError("the tokenizer encodes the text 'a' to no token; download the checkpoint again.")
    first, last = sides.index(0), len(sides) - sides[::-1].index(0)
    return tuple(encoding.ids[:first]), tuple(encoding.ids[last:])


def single_token(tokenizer: Tokenizer, word: str) -> int:
    """Return the id of a word that must be one token; raises UnsupportedError if it is not."""
    ids = fixed_token_ids(tokenizer, word)
    if len(ids) != 1:
        raise UnsupportedError(
            f"the tokenizer splits {word!r} into {len(ids)} tokens, and this family needs one; "
            "use the tokenizer that the model was trained with."
        )
    return ids[0]


def settings(checkpoint: Checkpoint) -> dict[str, object]:
    """Return tokenizer_config.json, or an empty dict if there is none."""
    path = checkpoint.folder / "tokenizer_config.json"
    return read_json(path) if path.is_file() else {}


def gives_token_types(checkpoint: Checkpoint, tokenizer: Tokenizer) -> bool:
    """Whether transformers' tokenizer gives token_type_ids, with which the second text of a pair has type 1.

    If tokenizer_config.json does not name the model's inputs, its tokenizer class decides.
    """
    if 1 not in tokenizer.encode("a", "b").type_ids:
        return False
    found = settings(checkpoint)
    if isinstance(named := found.get("model_input_names"), list):
        return "token_type_ids" in named
    class_ = str(found.get("tokenizer_class") or checkpoint.config.get("model_type")).lower()
    if class_ in ("pretrainedtokenizerfast", "tokenizersbackend"):
        return int(version("transformers").split(".")[0]) < 5
    return class_.startswith("bert")


def declared_length(checkpoint: Checkpoint) -> int | None:
    """Return tokenizer_config.json's model_max_length, or None if it does not say."""
    length = settings(checkpoint).get("model_max_length")
    return (
        int(length) if isinstance(length, (int, float)) and 1 <= length < 1_000_000 else None
    )  # a huge number means: unknown


def special_token_id(checkpoint: Checkpoint, tokenizer: Tokenizer, name: str) -> int | None:
    """Return the id of `pad_token`, `mask_token` and the like, as tokenizer_config.json names it."""
    token = settings(checkpoint).get(name)
    content = token.get("content") if isinstance(token, dict) else token
    return tokenizer.token_to_id(content) if isinstance(content, str) else None


def pad_token_id(checkpoint: Checkpoint, tokenizer: Tokenizer) -> int:
    """Return the tokenizer's padding token id, or another: any works, because padding is masked."""
    found = special_token_id(checkpoint, tokenizer, "pad_token")
    return found if found is not None else max(0, int(checkpoint.config.get("pad_token_id") or 0))
