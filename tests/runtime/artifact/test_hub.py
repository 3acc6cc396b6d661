import errno
from pathlib import Path

import pytest

from onnxrank.artifact.hub import looks_like_repo_id, snapshot
from onnxrank.errors import HubError, OutputError
from tests.stand_in_hub import COMMIT, StandInHub, point_client

BIG = bytes(range(256)) * 100
CHUNK = 1024


@pytest.fixture
def model(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> StandInHub:
    # The client keeps whole chunks, so that is what it can resume from; it waits before it tries again.
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", CHUNK)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
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
    model.cut_at, model.cuts = 15_000, 1
    folder = snapshot("owner/model", revision=None, allow_patterns=["*.safetensors"]).folder
    assert (folder / "model.safetensors").read_bytes() == BIG
    first, second = model.downloads
    assert (first.start, first.sent) == (0, 15_000)
    assert (second.start, second.sent) == (kept := 15_000 // CHUNK * CHUNK, len(BIG) - kept)


def test_a_connection_that_stays_cut_is_named_and_complete_files_are_kept(model: StandInHub) -> None:
    patterns = ["*.json", "*.safetensors"]
    snapshot("owner/model", revision=None, allow_patterns=patterns[:1])
    model.cut_at, model.cuts = 15_000, 1_000
    with pytest.raises(HubError, match=r"owner/model broke off \(.*\): run the same command again"):
        snapshot("owner/model", revision=None, allow_patterns=patterns)
    model.cuts = 0
    folder = snapshot("owner/model", revision=None, allow_patterns=patterns).folder
    assert (folder / "model.safetensors").read_bytes() == BIG
    assert [download.path for download in model.downloads].count("config.json") == 1


def test_nothing_is_drawn_where_stderr_is_no_terminal(model: StandInHub, capsys: pytest.CaptureFixture[str]) -> None:
    from huggingface_hub.utils.tqdm import enable_progress_bars

    enable_progress_bars()
    snapshot("owner/model", revision=None, allow_patterns=["*"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("repo_id", "revision", "sentence"),
    [("owner/absent", None, "no repository owner/absent"), ("owner/model", "v9", "no revision 'v9'")],
)
def test_what_the_hub_does_not_have_is_named(
    model: StandInHub, repo_id: str, revision: str | None, sentence: str
) -> None:
    with pytest.raises(HubError, match=sentence):
        snapshot(repo_id, revision=revision, allow_patterns=["*"])


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (401, "GatedRepo", "owner/model is gated: accept its licence on its page, then run .* or set HF_TOKEN"),
        (403, "GatedRepo", "owner/model is gated: accept its licence"),
        (401, "RepoNotFound", "no repository owner/model, or it is private"),
        (401, "", r"refuses access to owner/model \(status 401\): accept its licence"),
        (403, "", r"refuses access to owner/model \(status 403\): accept its licence"),
        (500, "", r"127\.0\.0\.1:\d+ answered with status 500 for owner/model"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(model: StandInHub, status: int, code: str, sentence: str) -> None:
    model.refusals["owner/model"] = (status, code)
    with pytest.raises(HubError, match=sentence) as caught:
        snapshot("owner/model", revision=None, allow_patterns=["*"])
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, Exception)


def test_offline_finds_the_cached_copy_and_nothing_else(model: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    cached = snapshot("owner/model", revision=None, allow_patterns=["*.json"])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert snapshot("owner/model", revision=None, allow_patterns=["*.json"]) == cached
    for revision, missing in ((None, "that name"), ("v1", "that name at revision 'v1'")):
        sentence = f"no folder owner/other here, the cache has no repository of {missing}, and HF_HUB_OFFLINE forbids"
        with pytest.raises(HubError, match=sentence):
            snapshot("owner/other", revision=revision, allow_patterns=["*"])


def test_without_a_network_the_cached_copy_is_used(model: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    cached = snapshot("owner/model", revision=None, allow_patterns=["*.json"])
    point_client(monkeypatch, "http://127.0.0.1:9", Path(constants.HF_HUB_CACHE))
    assert snapshot("owner/model", revision=None, allow_patterns=["*.json"]) == cached


def test_no_network_names_the_endpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_client(monkeypatch, "http://127.0.0.1:9", tmp_path)
    with pytest.raises(HubError, match=r"http://127\.0\.0\.1:9 cannot be reached"):
        snapshot("owner/model", revision=None, allow_patterns=["*"])


def test_a_full_disk_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **options: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    with pytest.raises(OutputError, match=r"disk is full while downloading owner/model to .*; free some space"):
        snapshot("owner/model", revision=None, allow_patterns=["*"])


def test_a_cache_that_cannot_be_written_is_named(
    model: StandInHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(OutputError, match=r"file/cache.* cannot be written .* or set HF_HOME"):
        snapshot("owner/model", revision=None, allow_patterns=["*"])


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Qwen/Qwen3-Reranker-0.6B", True),
        ("a/b_c", True),
        *((source, False) for source in ["demo", "./a", "../a", "a/b/c", "a/", "~/a", "a b/c", "é/a", "a/b\n"]),
        *((source, False) for source in ["a/b--c", "a/b..c", "-a/b", "a/.b", "a/b-", "a/b.git", "a/" + "b" * 97]),
    ],
)
def test_a_repo_id_is_told_from_a_path(source: str, expected: bool) -> None:
    assert looks_like_repo_id(source) is expected


@pytest.mark.network
def test_the_real_hub_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point_client(monkeypatch, "https://huggingface.co", tmp_path)
    found = snapshot("Qwen/Qwen3-Reranker-0.6B", revision=None, allow_patterns=["config.json"])
    assert (found.folder / "config.json").is_file()
