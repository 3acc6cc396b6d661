"""Makes the prompt of a pair, from a text template or from the tokenizer's template for pairs."""

import re
from dataclasses import replace

from tokenizers import Tokenizer

from onnxrank.artifact.manifest import Prompt
from onnxrank.errors import UnsupportedError
from onnxrank.export.checkpoint.tokenizer import encoded, fixed_token_ids

QUERY, DOCUMENT = "{query}", "{document}"


def templated(
    template: str, tokenizer: Tokenizer, *, default_instruction: str | None = None, document_template: str | None = None
) -> Prompt:
    """Return the prompt of a template with one {query}, then one {document}, and {instruction} before them if any.

    Control tokens in the template become fixed token ids, and so does everything after the document. The text between
    query and document is split where no token can span the split; if there is no such place, each pair is encoded
    whole.
    Raises UnsupportedError for another order of slots.
    """
    if template.count(QUERY) != 1 or template.count(DOCUMENT) != 1 or template.index(QUERY) > template.index(DOCUMENT):
        raise UnsupportedError(
            f"the pair template {template!r:.80} needs one {QUERY} and, behind it, one {DOCUMENT}; "
            "give another with --pair-template."
        )
    first = min(template.index(slot) for slot in ("{instruction}", QUERY) if slot in template)
    fixed, opening = _after_control(template[:first], tokenizer)
    head, after = template[first:].split(DOCUMENT)
    head, between = head.split(QUERY)
    query, separator, document = _parts(between, tokenizer)
    if query is None:
        instruction, query, document = "", "", opening + head + QUERY + document
    else:
        instruction, query = _cut(opening + head, QUERY + query, tokenizer)
    return Prompt(
        prefix_token_ids=fixed_token_ids(tokenizer, fixed),
        instruction=instruction,
        query=query,
        separator_token_ids=fixed_token_ids(tokenizer, separator),
        document=document + DOCUMENT,
        suffix_token_ids=fixed_token_ids(tokenizer, after),
        default_instruction=default_instruction,
        truncation="document",
        document_template=document_template,
    )


def encoded_whole(prompt: Prompt) -> Prompt | None:
    """Return the prompt that encodes each pair as one text; None if control tokens separate query and document, or if
    the prompt already does."""
    if prompt.whole or prompt.separator_token_ids:
        return None
    return replace(prompt, instruction="", query="", document=prompt.instruction + prompt.query + prompt.document)


def joined(tokenizer: Tokenizer, *, document_template: str | None = None) -> Prompt:
    """Return the prompt of the tokenizer's own template for pairs, `[CLS] query [SEP] document [SEP]` for BERT."""
    encoding = encoded(tokenizer, "a", "b")
    sides, ids = encoding.sequence_ids, encoding.ids
    if 0 not in sides or 1 not in sides:
        raise UnsupportedError("the tokenizer has no template for pairs; use the one that the model was trained with.")
    second = sides.index(1)
    first_end = len(sides[:second]) - sides[:second][::-1].index(0)
    last = len(sides) - sides[::-1].index(1)
    return Prompt(
        prefix_token_ids=tuple(ids[: sides.index(0)]),
        instruction="",
        query=QUERY,
        separator_token_ids=tuple(ids[first_end:second]),
        document=DOCUMENT,
        suffix_token_ids=tuple(ids[last:]),
        default_instruction=None,
        truncation="longest_first",
        document_template=document_template,
    )


def _parts(between: str, tokenizer: Tokenizer) -> tuple[str | None, str, str]:
    """Split into text after the query (None if there is no safe split), control tokens, text before the document."""
    control = _control(tokenizer)
    found = list(control.finditer(between))
    if found:
        return between[: found[0].start()], between[found[0].start() : found[-1].end()], between[found[-1].end() :]
    cut = safe_cut(between)
    return (None, "", between) if cut is None else (between[:cut], "", between[cut:])


def _cut(before: str, query: str, tokenizer: Tokenizer) -> tuple[str, str]:
    """Return the instruction's piece and the query's; the first is empty if there is no safe split."""
    tail = before.rpartition("}")[2]
    cut = safe_cut(tail)
    if "{instruction}" not in before or cut is None:
        return "", before + query
    at = len(before) - len(tail) + cut
    return before[:at], before[at:] + query


def safe_cut(text: str) -> int | None:
    """Return the last place where GPT-4's and similar byte-level tokenizers never merge: between an ASCII letter and a
    character that is not a letter, digit or mark. Both are fixed text, so no query or document can change that."""
    places = [match.end() for match in re.finditer(r"[A-Za-z](?=[^\w'\u0080-\U0010ffff])", text)]
    return places[-1] if places else None


def _after_control(text: str, tokenizer: Tokenizer) -> tuple[str, str]:
    found = list(_control(tokenizer).finditer(text))
    end = found[-1].end() if found else 0
    return text[:end], text[end:]


def _control(tokenizer: Tokenizer) -> re.Pattern[str]:
    contents = [token.content for token in tokenizer.get_added_tokens_decoder().values()]
    return re.compile("|".join(map(re.escape, sorted(contents, key=len, reverse=True))) or r"(?!)")
