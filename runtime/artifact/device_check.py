"""The shape of `device_check.json`: what each graph gives on a CPU for a few golden pairs."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedPair:
    """A golden pair without its PyTorch logits."""

    query: str
    document: str
    query_token_ids: tuple[int, ...]
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceCheck:
    """padded: by variant, its padded graph's logits for each pair, laid out as in golden.json. prefix: those of
    the prefix graphs. deviation: the standard deviation of each column of the golden logits."""

    pairs: tuple[CheckedPair, ...]
    padded: dict[str, tuple[tuple[float, ...], ...]]
    prefix: dict[str, tuple[tuple[float, ...], ...]]
    deviation: tuple[float, ...]
