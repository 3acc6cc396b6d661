from pathlib import Path

import pytest

from onnxrank.artifact.golden import Golden, GoldenPair, by_query, read_golden, write_golden
from onnxrank.artifact.manifest import GOLDEN
from onnxrank.errors import ArtifactError

SCORED = GoldenPair(query="光合作用", document="a", query_token_ids=(), token_ids=(1, 2), logits=(0.5,), relevance=2)
UNSCORED = GoldenPair(query="q", document="b", query_token_ids=(), token_ids=(3,), logits=None, relevance=None)


def test_round_trip(tmp_path: Path) -> None:
    golden = Golden(oracle={"torch": "2"}, pairs=(SCORED, UNSCORED, SCORED))
    write_golden(golden, tmp_path)
    assert read_golden(tmp_path) == golden
    assert "光合作用" in (tmp_path / GOLDEN).read_text(encoding="utf-8")
    assert golden.scored == (SCORED, SCORED)
    assert by_query(golden.pairs) == {"光合作用": [0, 2], "q": [1]}


@pytest.mark.parametrize("text", [None, "{", '{"oracle": {}}'])
def test_a_missing_or_malformed_file_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / GOLDEN).write_text(text)
    with pytest.raises(ArtifactError, match=r"golden\.json cannot be read .*; export the artifact again"):
        read_golden(tmp_path)
