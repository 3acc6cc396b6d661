from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from onnxrank.engine.batching import RUN_TOKENS, padded_batches


def cost(groups: list[list[int]], lengths: list[int]) -> int:
    return sum(RUN_TOKENS + len(group) * max(lengths[i] for i in group) for group in groups)


@given(st.lists(st.integers(1, 300), max_size=60), st.integers(1, 600))
def test_every_text_is_in_one_batch_within_the_budget(lengths: list[int], budget: int) -> None:
    groups = padded_batches(lengths, budget)
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[i] for i in group) <= budget


@given(st.lists(st.integers(1, 60), min_size=1, max_size=9), st.integers(1, 200))
def test_no_other_cut_of_the_sorted_texts_costs_less(lengths: list[int], budget: int) -> None:
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    found = cost(padded_batches(lengths, budget), lengths)
    for cuts in range(2 ** (len(lengths) - 1)):
        ends = [0, *(i for i in range(1, len(order)) if cuts >> (i - 1) & 1), len(order)]
        groups = [order[start:end] for start, end in pairwise(ends)]
        if all(len(g) == 1 or len(g) * max(lengths[i] for i in g) <= budget for g in groups):
            assert found <= cost(groups, lengths)
