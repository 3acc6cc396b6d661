import errno
from pathlib import Path

import pytest

from onnxrank.errors import HubError, OutputError
from onnxrank.hub import looks_like_repo_id, snapshot
from tests.stand_in_hub import COMMIT, StandInHub, point_client

# The client keeps whole chunks of 10 MB, so that is what it can resume from.
BIG = bytes(range(256)) * 100_000


@pytest.fixture
def model(hub: StandInHub) -> StandInHub:
    hub.add("owner/model", {"config.json": b"{}", "model.safetensors": BIG, "pytorch_model.bin": b"pickle"})
    return hub


def test_downloads_only_what_matches_and_caches_it(model: StandInHub) -> None:
    first = snapshot("owner/model", revision=None, allow_patterns=["*.json", "*.safetensors"])
    assert first.revision == COMMIT
    assert sorted(path.name for path in first.folder.iterdir()) == ["config.json", "model.safetensors"]
    assert (first.folder / "model.safetensors").read_bytes() == BIG
    count = len(model.downloads)
    assert snapshot("owner/model", revision="main", allow_patterns=["*.json", "*.safetensors"]) == first
    assert len(model.downloads) == count


def test_a_cut_connection_is_resumed_where_it_stopped(model: StandInHub) -> None:
    model.cut_after = 15_000_000
    folder = snapshot("owner/model", revision=None, allow_patterns=["*.safetensors"]).folder
    assert (folder / "model.safetensors").read_bytes() == BIG
    first, second = model.downloads
    assert (first.start, first.sent) == (0, 15_000_000)
    assert second.start > 0
    assert second.start + second.sent == len(BIG)


@pytest.mark.parametrize(
    ("repo_id", "revision", "sentence"),
    [
        ("owner/absent", None, "no repository owner/absent"),
        ("owner/model", "v9", "no revision 'v9'"),
        ("owner/gated", None, "accept its licence"),
    ],
)
def test_what_the_hub_refuses_is_said_in_a_sentence(
    model: StandInHub, repo_id: str, revision: str | None, sentence: str
) -> None:
    model.add("owner/gated", {"config.json": b"{}"})
    model.gated.add("owner/gated")
    with pytest.raises(HubError, match=sentence):
        snapshot(repo_id, revision=revision, allow_patterns=["*"])


def test_offline_finds_the_cached_copy_and_nothing_else(model: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    cached = snapshot("owner/model", revision=None, allow_patterns=["*.json"])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert snapshot("owner/model", revision=None, allow_patterns=["*.json"]) == cached
    with pytest.raises(HubError, match="HF_HUB_OFFLINE forbids downloading"):
        snapshot("owner/other", revision=None, allow_patterns=["*"])


def test_no_network_names_the_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_client(monkeypatch, "http://127.0.0.1:9", tmp_path)
    with pytest.raises(HubError, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        snapshot("owner/model", revision=None, allow_patterns=["*"])


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(OutputError, match="disk is full while downloading owner/model"):
        snapshot("owner/model", revision=None, allow_patterns=["*"])


@pytest.mark.parametrize(
    ("source", "expected"),
    [("Qwen/Qwen3-Reranker-0.6B", True), ("demo", False), ("./a/b", False), ("a/b/c", False)],
)
def test_a_repo_id_is_told_from_a_path(source: str, expected: bool) -> None:
    assert looks_like_repo_id(source) is expected


@pytest.mark.network
def test_the_real_hub_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_client(monkeypatch, "https://huggingface.co", tmp_path)
    found = snapshot("Qwen/Qwen3-Reranker-0.6B", revision=None, allow_patterns=["config.json"])
    assert (found.folder / "config.json").is_file()
