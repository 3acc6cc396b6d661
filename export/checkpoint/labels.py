"""Reads from config.json which label of a sequence classifier means that a document is relevant."""

from collections.abc import Mapping
from typing import Any

from onnxrank.errors import UnsupportedError
from onnxrank.export.checkpoint.checkpoint import Checkpoint

RELEVANT = {"relevant", "yes", "true", "1"}
OTHER = {"not relevant", "non relevant", "irrelevant", "no", "false", "0"}
# Without names, class 1 of two is the positive one, as in the training data of every library.
UNNAMED = ["label 0", "label 1"]


def scored_labels(checkpoint: Checkpoint) -> tuple[int, int | None]:
    """Return the relevant label, and the other one if there are two: the logit is then their difference, because
    softmax over two labels is the sigmoid of it.

    Raises UnsupportedError for more labels, and for two of which config.json does not say which is relevant.
    """
    folder, labels = checkpoint.folder.name, _labels(checkpoint.config)
    if len(labels) == 1:
        return 0, None
    if len(labels) != 2:
        raise UnsupportedError(
            f"config.json of {folder} has {len(labels)} labels ({', '.join(labels):.80}), and a reranker has one "
            "score: a classifier such as an NLI model is no reranker; use a checkpoint with one or two labels."
        )
    if checkpoint.config.get("problem_type") == "multi_label_classification":
        raise UnsupportedError(
            f"config.json of {folder} sets problem_type to 'multi_label_classification', so its two labels are two "
            "scores, and a reranker has one; use a checkpoint with one label."
        )
    names = [" ".join(label.lower().replace("_", " ").replace("-", " ").split()) for label in labels]
    if names == UNNAMED or (names[0] in OTHER and names[1] in RELEVANT):
        return 1, 0
    if names[0] in RELEVANT and names[1] in OTHER:
        return 0, 1
    raise UnsupportedError(
        f"config.json of {folder} calls its two labels {labels[0]!r} and {labels[1]!r}, which does not say which one "
        'means relevant; if it is a reranker, set id2label to {"0": "not relevant", "1": "relevant"}, or the reverse.'
    )


def _labels(config: Mapping[str, Any]) -> list[str]:
    """Return the labels in their order, by the rules of transformers, whose default is two."""
    if named := config.get("id2label"):
        return [str(label) for _, label in sorted(named.items(), key=lambda item: int(item[0]))]
    if numbered := config.get("label2id"):
        return [str(label) for label, _ in sorted(numbered.items(), key=lambda item: int(item[1]))]
    return [f"LABEL_{i}" for i in range(int(config.get("num_labels") or 2))]
