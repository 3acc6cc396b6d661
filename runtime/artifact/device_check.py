"""The fields of `device_check.json`: the logits of each graph on a CPU for a few golden pairs."""

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
    """padded, prefix: the logits of each variant's padded and prefix graph, one row per pair, laid out as in
    golden.json. deviation: the standard deviation of each column of the golden logits."""

    pairs: tuple[CheckedPair, ...]
    padded: dict[str, tuple[tuple[float, ...], ...]]
    prefix: dict[str, tuple[tuple[float, ...], ...]]
    deviation: tuple[float, ...]
