"""Detects a checkpoint's family, and checks the options against it."""

from onnxrank.errors import InputError, UnsupportedError
from onnxrank.export.checkpoint.checkpoint import Checkpoint
from onnxrank.export.families import FAMILIES
from onnxrank.export.families.evidence import architecture
from onnxrank.export.families.family import Family
from onnxrank.export.options import FamilyOptions


def find_family(name: str | None, checkpoint: Checkpoint) -> Family:
    """Return the family called `name`, or for None the one that recognises the checkpoint.

    Raises InputError if the name is unknown or the family is not certain, UnsupportedError if the checkpoint's
    architecture is not one of the family's.
    """
    if name is None:
        name = _recognised(checkpoint)
    if name not in FAMILIES:
        raise InputError(f"--family {name!r:.60} is unknown; the families are {', '.join(FAMILIES)}.")
    family, model_type = FAMILIES[name], checkpoint.config.get("model_type")
    if not family.takes(model_type):
        raise UnsupportedError(
            f"config.json has model_type {model_type!r:.60}, and family {name} comes as {family.comes_as()}; "
            "name the family this checkpoint belongs to."
        )
    return family


def _recognised(checkpoint: Checkpoint) -> str:
    model_type = checkpoint.config.get("model_type")
    fitting = [family for family in FAMILIES.values() if family.takes(model_type)]
    found = [family.name for family in fitting if family.recognises(checkpoint)]
    if len(found) == 1:
        return found[0]
    candidates = found or [family.name for family in fitting if family.could_be(checkpoint)]
    if not candidates:
        raise UnsupportedError(
            f"{checkpoint.folder.name} is a {architecture(checkpoint) or 'model'} with model_type {model_type!r}, and "
            "no family takes such a checkpoint; `export-model --list` shows what each one is."
        )
    raise InputError(
        f"{checkpoint.folder.name} does not say which reranker it is; name it with --family ({', '.join(candidates)})."
    )


def check_options(family: Family, options: FamilyOptions) -> None:
    """Raise InputError for an option that the family does not take."""
    for option in options.given():
        if option not in family.options:
            takes = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(family.options))
            raise InputError(
                f"family {family.name} takes no --{option.replace('_', '-')}"
                + (f", only {takes}; leave it out." if takes else "; leave it out.")
            )
