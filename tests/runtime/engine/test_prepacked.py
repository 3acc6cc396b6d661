from pathlib import Path

import pytest

from onnxrank.engine.prepacked import MODEL, prepacked_path, write_prepacked


def test_other_weights_or_another_processor_have_another_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", tmp_path)
    flags = tmp_path / "cpuinfo"
    monkeypatch.setattr("onnxrank.engine.prepacked.CPU_FLAGS", flags)
    monkeypatch.setattr("platform.processor", lambda: "a name")
    paths = [prepacked_path("weights"), prepacked_path("other weights")]
    for text in ("flags : avx2", "flags : avx2 avx512_vnni", "Features : asimd", "model name : a\nflags : avx2"):
        flags.write_text(text)
        paths.append(prepacked_path("weights"))
    assert len({path.parent for path in paths}) == 6
    # The clock changes all the time.
    flags.write_text(f"cpu MHz : 2400\n{text}")
    assert prepacked_path("weights") == paths[-1]


def test_a_graph_that_exists_is_not_written_again(tmp_path: Path) -> None:
    (tmp_path / MODEL).write_text("a graph")
    write_prepacked(tmp_path / MODEL, lambda options: pytest.fail("made again"), object)
