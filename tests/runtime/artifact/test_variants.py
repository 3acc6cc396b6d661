import pytest

from onnxrank.artifact.variants import PRECISIONS, default_variant


@pytest.mark.parametrize(
    ("present", "on_cpu", "chosen"),
    [
        (list(PRECISIONS), True, "int8"),
        (["fp32", "q4"], True, "q4"),
        (["fp16", "fp32"], True, "fp32"),
        (list(PRECISIONS), False, "fp16"),
        (["q4", "fp32"], False, "fp32"),
    ],
)
def test_the_variant_that_opens_is_the_best_for_the_device(present: list[str], on_cpu: bool, chosen: str) -> None:
    assert default_variant(present, on_cpu=on_cpu) == chosen


def test_every_variant_has_its_place() -> None:
    for on_cpu in (True, False):
        assert sorted(default_variant([name], on_cpu=on_cpu) for name in PRECISIONS) == sorted(PRECISIONS)
