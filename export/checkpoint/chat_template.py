"""Renders a checkpoint's chat template with a pair of texts, in the same sandbox as transformers."""

from collections.abc import Callable
from typing import Any

from jinja2 import TemplateError
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from onnxrank.errors import CheckpointError
from onnxrank.export.checkpoint.checkpoint import Checkpoint, read_text
from onnxrank.export.checkpoint.modules import st_config
from onnxrank.export.checkpoint.tokenizer import settings

PAIR_ROLES = ("query", "document")
CHAT_ROLES = ("system", "user")
FILE = "chat_template.jinja"
# Placeholder texts that no template contains.
MARKS = ("\ue000query\ue001", "\ue000document\ue001")

Chat = Callable[..., str]


def template_of(checkpoint: Checkpoint) -> str:
    """Return the prompt as text with the slots {query} and {document}."""
    source = _source(checkpoint)

    def chat(messages: Any, **arguments: Any) -> str:
        return _render(source, checkpoint, messages, arguments)

    text = render(checkpoint, *MARKS, chat=chat)
    return text.replace(MARKS[0], "{query}").replace(MARKS[1], "{document}")


def render(checkpoint: Checkpoint, query: str, document: str, *, chat: Chat) -> str:
    """Return the chat of a pair; `chat(messages, **arguments)` renders it."""
    config = st_config(checkpoint, "sentence_bert_config.json")
    arguments = dict((config.get("processing_kwargs") or {}).get("chat_template") or {})
    arguments.pop("restore_suffix", None)  # an argument of sentence-transformers, not of the template
    structured = ((config.get("modality_config") or {}).get("message") or {}).get("format") == "structured"

    def messages(roles: tuple[str, str], texts: tuple[str, str]) -> list[dict[str, Any]]:
        return [
            {"role": role, "content": [{"type": "text", "text": text}] if structured else text}
            for role, text in zip(roles, texts, strict=True)
        ]

    probe = chat(messages(PAIR_ROLES, MARKS), **arguments)
    if all(mark in probe for mark in MARKS):
        return chat(messages(PAIR_ROLES, (query, document)), **arguments)
    return chat(messages(CHAT_ROLES, (query, document)), **{"add_generation_prompt": True, **arguments})


def source_of(checkpoint: Checkpoint) -> str | None:
    """Return the template's source, from its own file or tokenizer_config.json; None if there is none."""
    path = checkpoint.folder / FILE
    if path.is_file():
        return read_text(path)
    found = settings(checkpoint).get("chat_template")
    return found if isinstance(found, str) else None


def _render(source: str, checkpoint: Checkpoint, messages: Any, arguments: dict[str, Any]) -> str:
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = _refuse
    special = {
        name: token["content"] if isinstance(token, dict) else token
        for name, token in settings(checkpoint).items()
        if name in ("bos_token", "eos_token", "pad_token", "unk_token")
    }
    try:
        return environment.from_string(source).render(
            messages=messages, **{"add_generation_prompt": False, **special, **arguments}
        )
    except (TemplateError, SecurityError) as error:
        raise CheckpointError(
            f"the chat template of {checkpoint.folder} cannot be rendered ({error}); download the checkpoint again."
        ) from error


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _source(checkpoint: Checkpoint) -> str:
    found = source_of(checkpoint)
    if found is None:
        raise CheckpointError(f"{checkpoint.folder} has no {FILE}, so its prompt is unknown; download it again.")
    return found
