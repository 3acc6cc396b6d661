"""`onnxrank push` and `pull`, with the real client and a stand-in for the hub."""

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from onnxrank import Reranker
from onnxrank.artifact.publishing import pull, push
from onnxrank.cli.app import app
from onnxrank.errors import ArtifactError, HubError, InputError, OutputError
from tests.exports import export_tiny, write_checkpoint
from tests.stand_in_hub import COMMIT, StandInHub, point_client
from tests.tiny_families import TINY

# The hub's client calls its HTTP library in a way that the library deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("artifact")
    checkpoint = write_checkpoint(folder / "checkpoint", TINY["qwen3-reranker"].write)
    export_tiny(checkpoint, folder / "tiny", family="qwen3-reranker")
    return folder / "tiny"


@pytest.fixture
def artifact(exported: Path, tmp_path: Path) -> Path:
    """A copy to be changed."""
    return shutil.copytree(exported, tmp_path / "tiny")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_pushed_comes_back(artifact: Path, hub: StandInHub, tmp_path: Path) -> None:
    expected = contents(artifact)
    (artifact / "notes.txt").write_text("not of the artifact")
    assert push(artifact, "owner/tiny") == f"{hub.endpoint}/owner/tiny/commit/{COMMIT}"
    assert hub.visibility == {"owner/tiny": "private"}
    assert contents(hub.folder / "owner" / "tiny") == expected
    assert pull("owner/tiny", tmp_path / "pulled").folder == tmp_path / "pulled"
    assert contents(tmp_path / "pulled") == expected
    pair = ("sort an array", "sort(a): sorts an array")
    assert Reranker("owner/tiny").predict(pair) == Reranker(tmp_path / "pulled").predict(pair)


def test_only_what_changed_is_sent_again(artifact: Path, hub: StandInHub) -> None:
    push(artifact, "owner/tiny", public=True)
    assert hub.visibility == {"owner/tiny": "public"}
    (hub.folder / "owner" / "tiny" / "config.json").write_text("{}")
    push(artifact, "owner/tiny")
    assert hub.commits[1:] == [["config.json"]]
    push(artifact, "owner/tiny")
    assert len(hub.commits) == 2
    assert hub.visibility == {"owner/tiny": "public"}


@pytest.mark.parametrize("name", ["onnx/model.onnx", "README.md", "reranker.json"])
def test_what_does_not_verify_stays_here(artifact: Path, hub: StandInHub, name: str) -> None:
    (artifact / name).write_bytes((artifact / name).read_bytes()[:-3])
    with pytest.raises(ArtifactError):
        push(artifact, "owner/tiny")
    assert not hub.visibility and not hub.commits


def test_what_does_not_verify_is_not_written(artifact: Path, hub: StandInHub, tmp_path: Path) -> None:
    push(artifact, "owner/tiny")
    (hub.folder / "owner" / "tiny" / "onnx" / "model.onnx").write_bytes(b"other")
    with pytest.raises(ArtifactError, match="its hash differs"):
        pull("owner/tiny", tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists()


def test_an_existing_folder_is_replaced_only_if_asked(artifact: Path, hub: StandInHub, tmp_path: Path) -> None:
    push(artifact, "owner/tiny")
    (artifact / "more.txt").touch()
    with pytest.raises(OutputError, match="tiny exists; give --force to replace it"):
        pull("owner/tiny", artifact)
    pull("owner/tiny", artifact, force=True)
    assert not (artifact / "more.txt").exists()
    with pytest.raises(OutputError, match="exists; choose another folder"):
        pull("owner/tiny", tmp_path, force=True)


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (403, "", r"does not let you write to owner/tiny \(status 403\): check the owner's name"),
        (401, "", r"does not let you write to owner/tiny \(status 401\)"),
        (500, "", r"answered with status 500 while owner/tiny was uploaded: run the same command again"),
    ],
)
def test_what_the_hub_refuses_is_one_sentence(
    artifact: Path, hub: StandInHub, status: int, code: str, sentence: str
) -> None:
    hub.refusals["owner/tiny"] = (status, code)
    with pytest.raises(HubError, match=sentence) as caught:
        push(artifact, "owner/tiny")
    assert "\n" not in str(caught.value)


def test_no_network_is_one_sentence(artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    point_client(monkeypatch, "http://127.0.0.1:9", tmp_path)
    with pytest.raises(HubError, match=r"the upload of owner/tiny broke off \(.*\): run the same command again"):
        push(artifact, "owner/tiny")


def test_bad_arguments_are_one_sentence(artifact: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="none is no folder; give the one"):
        push(tmp_path / "none", "owner/tiny")
    with pytest.raises(InputError, match="'tiny' is no hub id; give owner/name"):
        push(artifact, "tiny")
    with pytest.raises(InputError, match="'tiny' is no hub id; give owner/name"):
        pull("tiny", tmp_path / "out")


def test_the_commands_say_where_it_is(
    artifact: Path, hub: StandInHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pushed = CliRunner().invoke(app, ["push", str(artifact), "owner/other"], catch_exceptions=False)
    assert pushed.output == f"uploaded {hub.endpoint}/owner/other/commit/{COMMIT}\n"
    pulled = CliRunner().invoke(app, ["pull", "owner/other"], catch_exceptions=False)
    assert pulled.output == "wrote artifacts/other: fp32\n"
    assert contents(tmp_path / "artifacts" / "other") == contents(artifact)
