from hypothesis import given
from hypothesis import strategies as st

from onnxrank.packing import padded_batches

lengths = st.lists(st.integers(1, 300), max_size=60)
budgets = st.integers(1, 600)


@given(lengths, budgets)
def test_every_text_is_in_one_batch_within_the_budget(lengths: list[int], budget: int) -> None:
    groups = padded_batches(lengths, budget)
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    for group in groups:
        assert len(group) == 1 or len(group) * max(lengths[i] for i in group) <= budget
