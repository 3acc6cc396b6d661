"""API keys, CORS, and what a header may bring back."""

import os
from pathlib import Path

import pytest

from onnxrank.errors import InputError
from onnxrank.serve.http.keys import KeyFile
from tests.serve.asking import app_of, ask
from tests.serve.fake import FakeScheduler

BODY = {"query": "a", "documents": ["b"]}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    path.write_text("# for the search team\nfirst-key\n\nsecond-key \nschlüssel\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer first-key"},
        {"authorization": "bearer second-key"},
        {"authorization": "second-key"},
        {"api-key": "first-key"},
        {"authorization": "Bearer schlüssel"},
    ],
)
def test_every_key_in_every_clients_way(keys: Path, headers: dict[str, str]) -> None:
    encoded = {name.encode(): value.encode() for name, value in headers.items()}
    app = app_of(FakeScheduler(), api_keys=keys)
    assert ask(app, "/rerank", BODY, headers=encoded).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer "},
        {"authorization": "Bearer first-ke"},
        {"authorization": "Bearer # for the search team"},
        {"authorization": "Basic first-key"},
        {"authorization": "Bearer first-key\xff"},
    ],
)
@pytest.mark.parametrize("path", ["/rerank", "/metrics", "/v1/models", "/info", "/nowhere"])
def test_without_a_key(keys: Path, path: str, headers: dict[str, str]) -> None:
    scheduler = FakeScheduler()
    encoded = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
    app = app_of(scheduler, api_keys=keys)
    answer = ask(app, path, BODY if path == "/rerank" else None, headers=encoded)
    assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["error"]["type"] == "authentication_error"
    assert not scheduler.asked


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/ping", "/", "/openapi.json"])
def test_probes_and_the_page_need_none(keys: Path, path: str) -> None:
    assert ask(app_of(FakeScheduler(), api_keys=keys), path).status_code == 200


def test_a_changed_file_is_read_again(keys: Path) -> None:
    file = KeyFile(keys)
    assert file.admits("first-key") and not file.admits("third-key")
    replacement = keys.with_name("new")
    replacement.write_text("third-key\n")
    os.replace(replacement, keys)
    assert file.admits("third-key") and not file.admits("first-key")
    # Nobody is locked out, and nobody let in, by a slip of the editor.
    keys.write_text("")
    assert file.admits("third-key") and not file.admits("")
    keys.unlink()
    assert file.admits("third-key")


@pytest.mark.parametrize("content", [b"", b"# none\n", b"\xff\xfe", None])
def test_a_file_without_keys(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "keys"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match="keys"):
        KeyFile(path)


def test_other_origins_are_not_let_in_by_default() -> None:
    headers = {"origin": "https://elsewhere.example"}
    assert "access-control-allow-origin" not in ask(app_of(FakeScheduler()), "/rerank", BODY, headers=headers).headers


def test_the_origins_that_were_named(keys: Path) -> None:
    app = app_of(FakeScheduler(), api_keys=keys, cors=("https://mine.example",))
    preflight = {
        "origin": "https://mine.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    answer = ask(app, "/rerank", headers=preflight, method="OPTIONS")
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://mine.example"
    refused = ask(app, "/rerank", headers={**preflight, "origin": "https://other.example"}, method="OPTIONS")
    assert "access-control-allow-origin" not in refused.headers


def test_request_ids() -> None:
    app = app_of(FakeScheduler())
    assert ask(app, "/rerank", BODY, headers={"x-request-id": "job-7.a:1"}).json()["id"] == "job-7.a:1"
    for bad in ("<script>", "a b", "x" * 200, "a\tb", "\xe9"):
        headers = {b"x-request-id": bad.encode("latin-1")}
        answer = ask(app, "/nowhere", headers=headers)
        assert answer.status_code == 404
        assert answer.headers["x-request-id"].isalnum() and len(answer.headers["x-request-id"]) == 32


def test_nothing_is_reflected() -> None:
    answer = ask(app_of(FakeScheduler()), "/<script>alert(1)</script>?q=<b>", headers={"x-evil": "<i>"})
    assert answer.status_code == 404 and "<" not in answer.text
    assert answer.headers["content-type"] == "application/json"
