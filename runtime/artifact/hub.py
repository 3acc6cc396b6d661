"""Downloads from a model hub, through its cache; each kind of failure has an error message of one sentence."""

import errno
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from onnxrank.errors import HubError, OutputError

# The hub's rule for ids: ASCII, no "--" or "..", a word character at both ends, at most 96 characters, not ".git".
_REPO_ID = re.compile(r"(?!.*(--|\.\.))(?!.*\.git$)\w([\w.-]*\w)?/\w([\w.-]{0,94}\w)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A folder with the requested files, and their commit hash."""

    folder: Path
    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HubAccess:
    """How the hub client downloads. token: an access token, True for the stored one, False for none. cache_folder: by
    default HF_HUB_CACHE. local_files_only: whether to use the cache alone."""

    token: str | bool | None = field(default=None, repr=False)
    cache_folder: str | Path | None = None
    local_files_only: bool = False


def looks_like_repo_id(source: str) -> bool:
    """Whether `source` has the form owner/name, in characters that the hub allows."""
    return _REPO_ID.fullmatch(source) is not None


def snapshot(
    repo_id: str, *, revision: str | None, allow_patterns: Sequence[str], access: HubAccess | None = None
) -> Snapshot:
    """Download the files of a repository that match `allow_patterns`, or find them in the cache.

    Raises HubError naming the cause, OutputError when the disk is full or the cache cannot be written.
    """
    import huggingface_hub
    from huggingface_hub import constants, errors
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    access = access or HubAccess()
    at = f" at revision {revision!r}" if revision else ""
    try:
        folder = huggingface_hub.snapshot_download(
            repo_id,
            revision=revision,
            allow_patterns=list(allow_patterns),
            token=access.token,
            cache_dir=access.cache_folder,
            local_files_only=access.local_files_only,
        )
    except errors.GatedRepoError as error:
        raise HubError(
            f"{repo_id} is gated: accept its licence on its page, then run `hf auth login` or set HF_TOKEN."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(
            f"there is no folder {repo_id} here, and the hub has no repository {repo_id}, or it is private: check the "
            "name, or run `hf auth login`."
        ) from error
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{repo_id} has no revision {revision!r}: name a branch, tag or commit of it.") from error
    except errors.LocalEntryNotFoundError as error:  # the client raises it for every failed request
        raise HubError(_refused(repo_id, error.__cause__) or _unreachable(repo_id, at, access)) from error
    except OSError as error:
        cache = access.cache_folder or constants.HF_HUB_CACHE
        if error.errno == errno.ENOSPC:
            raise OutputError(
                f"the disk is full while downloading {repo_id} to {cache}; free some space, or set HF_HOME."
            ) from error
        if error.filename is not None:  # a file's error, not the network's
            raise OutputError(
                f"{error.filename} cannot be written ({error.strerror}); make the cache {cache} writable, "
                "or set HF_HOME to another folder."
            ) from error
        raise HubError(_refused(repo_id, error) or _interrupted(repo_id, error)) from error
    except Exception as error:  # the HTTP library's own errors, which differ between releases
        raise HubError(_interrupted(repo_id, error)) from error
    return Snapshot(folder=Path(folder), revision=Path(folder).name)


def _unreachable(repo_id: str, at: str, access: HubAccess) -> str:
    from huggingface_hub import constants

    if access.local_files_only or constants.HF_HUB_OFFLINE:
        what = "local_files_only" if access.local_files_only else "HF_HUB_OFFLINE"
        return (
            f"there is no folder {repo_id} here, the cache has no repository of that name{at}, and {what} forbids "
            "downloading: turn it off, or give a folder that exists."
        )
    return (
        f"there is no folder {repo_id} here, the cache has no repository of that name{at}, and {constants.ENDPOINT} "
        "cannot be reached: check the network, or give a folder that exists."
    )


def _refused(repo_id: str, error: BaseException | None) -> str | None:
    """Return the message for an error status of the hub; None if the hub did not answer."""
    from huggingface_hub import constants, errors

    # requests' responses, in releases before 1.0, are false when the status is an error.
    if not isinstance(error, errors.HfHubHTTPError) or error.response is None:
        return None
    status = error.response.status_code
    if status in (401, 403):
        return (
            f"{constants.ENDPOINT} refuses access to {repo_id} (status {status}): accept its licence on its page, "
            "then run `hf auth login` or set HF_TOKEN."
        )
    return (
        f"{constants.ENDPOINT} answered with status {status} for {repo_id}, which is not in the cache: "
        "run the same command again later, or give a local folder."
    )


def _interrupted(repo_id: str, error: Exception) -> str:
    # The client resumes a dropped connection within one call. After that, its current releases delete a partial file
    # (huggingface_hub pull request 4228), so the message promises only that complete files are kept.
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    return f"the download of {repo_id} broke off ({reason}): run the same command again, complete files are kept."
