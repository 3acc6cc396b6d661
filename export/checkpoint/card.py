"""Reads the front matter of a checkpoint's model card, README.md."""

import re
from pathlib import Path


def licence(folder: Path) -> str | None:
    """Return the licence as the card names it; None if it does not."""
    named = dict(re.findall(r"^(license(?:_name)?):[ \t]*[\"']?([\w.+-]+)", _front_matter(folder), re.MULTILINE))
    # "other" is the hub's value for a licence without a short name.
    return named.get("license_name", "other") if named.get("license") == "other" else named.get("license")


def base_models(folder: Path) -> list[str]:
    """Return the hub ids of the models that the card says this one was trained from."""
    field = re.search(r"^base_model:(.*(?:\n[ \t]*-.*)*)", _front_matter(folder), re.MULTILINE)
    return re.findall(r"[\w.-]+/[\w.-]+", field[1]) if field else []


def _front_matter(folder: Path) -> str:
    card = folder / "README.md"
    if not card.is_file():
        return ""
    matter = re.match(r"---\n(.*?)\n---", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    return matter[1] if matter else ""
