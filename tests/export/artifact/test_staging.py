import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from onnxrank.artifact.manifest import MANIFEST
from onnxrank.errors import OutputError
from onnxrank.export.artifact.staging import check_space
from onnxrank.export.artifact.staging import staged_artifact as staged


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """An artifact that exists already."""
    folder = tmp_path / "artifact"
    folder.mkdir()
    (folder / MANIFEST).write_text("old")
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_folder_appears_whole(tmp_path: Path) -> None:
    with staged(tmp_path / "a" / "b", force=False) as folder:
        (folder / MANIFEST).write_text("new")
        assert not (tmp_path / "a" / "b").exists()
    assert names(tmp_path / "a") == ["b"]
    assert (tmp_path / "a" / "b" / MANIFEST).read_text() == "new"


def test_an_existing_artifact_is_replaced_only_with_force(out: Path) -> None:
    with pytest.raises(OutputError, match=r"exists; add --force to replace it"), staged(out, force=False):
        raise AssertionError("not reached")
    with staged(out, force=True) as folder:
        (folder / MANIFEST).write_text("new")
    assert (out / MANIFEST).read_text() == "new"
    assert names(out.parent) == ["artifact"]


def test_force_does_not_replace_what_is_no_artifact(tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("years of work")
    with pytest.raises(OutputError, match="is no artifact, so --force does not replace it"):
        with staged(tmp_path / "thesis", force=True):
            raise AssertionError("not reached")


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_artifact_and_nothing_else(out: Path, error: BaseException) -> None:
    with pytest.raises(type(error)), staged(out, force=True) as folder:
        (folder / MANIFEST).write_text("half")
        raise error
    assert names(out.parent) == ["artifact"]
    assert (out / MANIFEST).read_text() == "old"


def test_a_full_disk_is_one_sentence(out: Path) -> None:
    with (
        pytest.raises(OutputError, match="is full; free some space and try again"),
        staged(out, force=True),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (out / MANIFEST).read_text() == "old"
    with pytest.raises(OutputError, match=r"needs 1,000,000,000,000 MB and .* MB free"):
        check_space(out, 10**18)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"), staged(tmp_path / "file" / "a", force=False):
        raise AssertionError("not reached")


def test_kill_leaves_the_old_artifact_and_the_next_run_cleans_up(out: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from onnxrank.export.artifact import staging\n"
        "with staging.staged_artifact(Path(sys.argv[1]), force=True) as folder:\n"
        "    (folder / 'half').write_text(''); print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code, out], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "ready\n"
        # A second export meanwhile leaves the living one's folder alone.
        with staged(out, force=True) as folder:
            assert len(names(out.parent)) == 3
            (folder / MANIFEST).write_text("second")
        assert len(names(out.parent)) == 2
        os.kill(process.pid, signal.SIGKILL)
    assert (out / MANIFEST).read_text() == "second"
    with staged(out, force=True) as folder:
        (folder / MANIFEST).write_text("third")
    assert names(out.parent) == ["artifact"]


def test_a_crash_between_the_two_renames_is_mended(out: Path) -> None:
    out.rename(out.parent / ".artifact.old")
    with pytest.raises(OutputError, match="exists"), staged(out, force=False):
        raise AssertionError("not reached")
    assert (out / MANIFEST).read_text() == "old"


def test_a_crash_after_the_two_renames_is_mended(out: Path) -> None:
    shutil.copytree(out, out.parent / ".artifact.old")
    with pytest.raises(OutputError, match="exists"), staged(out, force=False):
        raise AssertionError("not reached")
    assert names(out.parent) == ["artifact"]


def test_neither_a_file_nor_a_backup_beside_it_is_touched(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("words")
    with pytest.raises(OutputError, match="is no artifact, so --force does not replace it"):
        with staged(tmp_path / "README.md", force=True):
            raise AssertionError("not reached")
    no_process = f".new.partial-{10**20}-backup"
    for name in (".new.partial-backup", no_process):
        (tmp_path / name).mkdir()
    with staged(tmp_path / "new", force=False) as folder:
        (folder / MANIFEST).write_text("new")
    assert names(tmp_path) == [no_process, ".new.partial-backup", "README.md", "new"]


def test_a_second_rename_that_fails_brings_the_old_folder_back(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = Path.rename

    def fails_for_new(self: Path, target: Path) -> Path:
        if "partial" in self.name:
            raise PermissionError(errno.EPERM, "Operation not permitted")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails_for_new)
    with pytest.raises(PermissionError), staged(out, force=True) as folder:
        (folder / MANIFEST).write_text("new")
    assert (out / MANIFEST).read_text() == "old"
    assert names(out.parent) == ["artifact"]
