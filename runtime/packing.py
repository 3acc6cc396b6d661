"""Which texts are scored together: groups of similar length under a token budget."""

from collections.abc import Sequence


def padded_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group indices, longest first, so that rows x longest row is at most `budget` (or the group has one row)."""
    groups: list[list[int]] = []
    longest = 0
    for index in sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True):
        if not groups or (len(groups[-1]) + 1) * longest > budget:
            groups.append([])
            longest = lengths[index]
        groups[-1].append(index)
    return groups
