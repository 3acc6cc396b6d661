"""Groups texts into batches: rows of similar length, padded to the longest, within a token budget."""

from collections.abc import Sequence

# The fixed cost of a run, in tokens: it reads all weights, which takes about as long as computing 16 tokens.
# Measured with int8 on two cores; the ratio of memory to arithmetic speed does not depend on the model's size.
RUN_TOKENS = 16


def token_budget(lengths: Sequence[int], most: int, cores: int) -> int:
    """Return the token budget of a batch: `most`, or less if there are too few tokens to keep all cores busy."""
    return min(most, -(-sum(lengths) // cores))


def padded_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Group indices, longest first, so that padding and runs together cost least. In each group, rows x longest row is
    at most `budget`, or the group has one row."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    # The least cost of the first `end` texts, and where their last group starts.
    costs, starts = [0], [0]
    for end in range(1, len(order) + 1):
        start = end - 1
        best = costs[start] + lengths[order[start]], start
        while start > 0 and (end - start + 1) * lengths[order[start - 1]] <= budget:
            start -= 1
            best = min(best, (costs[start] + (end - start) * lengths[order[start]], start))
        costs.append(best[0] + RUN_TOKENS)
        starts.append(best[1])
    groups: list[list[int]] = []
    end = len(order)
    while end:
        groups.append(order[starts[end] : end])
        end = starts[end]
    return groups[::-1]
