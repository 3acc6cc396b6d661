"""Uploads artifacts to a model hub, and copies them from there to a folder; only what verifies goes either way."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onnxrank.artifact.hub import HubAccess, looks_like_repo_id
from onnxrank.artifact.manifest import MANIFEST
from onnxrank.artifact.opening import Artifact, open_artifact, open_repository
from onnxrank.artifact.staging import recover, staged
from onnxrank.errors import HubError, InputError, OutputError, one_line


def push(folder: Path, repo_id: str, *, public: bool = False, revision: str | None = None) -> str:
    """Upload an artifact's files, after checking their hashes, and return the commit's address.

    A repository that does not exist is made, private unless `public`; one that exists stays as visible as it is. Files
    that are already there are not sent again. revision: the branch, main by default. Raises InputError for what is no
    folder or hub id, ArtifactError for a file that is missing or altered, HubError.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; give the one that `export-model` wrote.")
    if not looks_like_repo_id(repo_id):
        raise InputError(f"{repo_id!r} is no hub id; give owner/name.")
    artifact = open_artifact(folder)
    artifact.fetch(*artifact.manifest.files)
    import huggingface_hub
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    with _uploading(repo_id):
        huggingface_hub.create_repo(repo_id, private=not public, exist_ok=True)
        commit = huggingface_hub.upload_folder(
            repo_id=repo_id,
            folder_path=folder,
            # Nothing else that lies in the folder.
            allow_patterns=[*artifact.manifest.files, MANIFEST],
            revision=revision,
            commit_message=f"Upload {artifact.manifest.name}, exported with onnxrank",
        )
    return commit.commit_url


def pull(repo_id: str, out: Path, *, revision: str | None = None, force: bool = False) -> Artifact:
    """Copy an artifact on the hub to a folder, with all its variants, and return it.

    The folder appears when all files are there and their hashes are right. The download goes through the hub client's
    cache, so an interrupted one goes on where it stopped. force: whether to replace an artifact that is there. Raises
    InputError for what is no hub id, OutputError for a folder that exists, ArtifactError, HubError.
    """
    if not looks_like_repo_id(repo_id):
        raise InputError(f"{repo_id!r} is no hub id; give owner/name.")
    recover(out)
    if out.exists() and not (force and (out / MANIFEST).is_file()):
        remedy = "give --force to replace it" if (out / MANIFEST).is_file() else "choose another folder"
        raise OutputError(f"{out} exists; {remedy}.")
    # Not `open_artifact`, which prefers a folder of that name.
    artifact = open_repository(repo_id, revision=revision, access=HubAccess())
    artifact.fetch(*artifact.manifest.files)
    with staged(out) as made:
        for name in [*artifact.manifest.files, MANIFEST]:
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(artifact.folder / name, made / name)
    return open_artifact(out)


@contextmanager
def _uploading(repo_id: str) -> Iterator[None]:
    from huggingface_hub import constants, errors

    try:
        yield
    except errors.LocalTokenNotFoundError as error:
        raise HubError(f"uploading to {repo_id} needs a token: run `hf auth login` or set HF_TOKEN.") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else None
        if status in (401, 403, 404):
            raise HubError(
                f"{constants.ENDPOINT} does not let you write to {repo_id} (status {status}): check the owner's name, "
                "and run `hf auth login` with a token that may write."
            ) from error
        raise HubError(
            f"{constants.ENDPOINT} answered with status {status} while {repo_id} was uploaded: run the same command "
            "again later, files that are there are not sent again."
        ) from error
    except errors.OfflineModeIsEnabled as error:
        raise HubError(f"HF_HUB_OFFLINE forbids uploading {repo_id}: turn it off.") from error
    except Exception as error:  # the HTTP library's own errors, which differ between releases
        raise HubError(
            f"the upload of {repo_id} broke off ({one_line(error)}): run the same command again, files that are there "
            "are not sent again."
        ) from error
