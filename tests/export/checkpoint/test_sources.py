from pathlib import Path

import pytest

from onnxrank.errors import InputError, UnsupportedError
from onnxrank.export.checkpoint.aliases import ALIASES
from onnxrank.export.checkpoint.sources import locate
from onnxrank.export.families import FAMILIES
from tests.stand_in_hub import COMMIT, StandInHub

CARD = b"---\ntags: [x]\nlicense: mit\n---\n# A model\n"


@pytest.mark.parametrize(("name", "family"), [("demo", "qwen3-reranker"), ("demo-retriever", "qwen3-embedding")])
def test_the_demos_are_inside_the_package(name: str, family: str) -> None:
    found = locate(name)
    assert (found.folder / "model.safetensors").is_file()
    assert (found.name, found.family, found.licence, found.revision) == (name, family, "apache-2.0", None)


def test_a_folder_tells_its_name_and_licence_but_not_its_path(tmp_path: Path) -> None:
    folder = tmp_path / "My-Model"
    folder.mkdir()
    (folder / "README.md").write_bytes(CARD)
    found = locate(str(folder))
    assert (found.name, found.id, found.licence, found.family) == ("My-Model", "My-Model", "mit", None)


def test_a_hub_id_is_downloaded_without_pickles(hub: StandInHub) -> None:
    names = ["model.safetensors", "1_Dense/model.safetensors", "1_Dense/config.json", "classification_heads.pt"]
    weights = dict.fromkeys(names, b"x")
    wanted = {"config.json": b"{}", "modules.json": b"[]", "README.md": CARD} | weights
    pickles = ["pytorch_model.bin", "model.pt", "1_Dense/pytorch_model.bin", "training_args.pkl"]
    files = wanted | dict.fromkeys(pickles, b"x")
    hub.add("Owner/Their-Model", files)
    found = locate("Owner/Their-Model", revision="main")
    assert (found.name, found.id, found.revision, found.licence) == (
        "their-model",
        "Owner/Their-Model",
        COMMIT,
        "mit",
    )
    fetched = {p.relative_to(found.folder).as_posix() for p in found.folder.rglob("*") if p.is_file()}
    assert fetched == set(wanted)


def test_pickles_are_downloaded_only_where_safetensors_miss(hub: StandInHub) -> None:
    wanted = {"config.json": b"{}", "1_Dense/config.json": b"{}", "1_Dense/pytorch_model.bin": b"x"}
    wanted |= {"pytorch_model-1-of-1.bin": b"x", "pytorch_model.bin.index.json": b"{}"}
    hub.add("Owner/Old", {**wanted, "training_args.bin": b"x"})
    found = locate("Owner/Old").folder
    assert {p.relative_to(found).as_posix() for p in found.rglob("*") if p.is_file()} == set(wanted)


def test_gguf_is_refused_by_file_and_by_name(tmp_path: Path) -> None:
    (tmp_path / "m.GGUF").write_bytes(b"GGUF")
    for source in (str(tmp_path / "m.GGUF"), "Owner/Qwen3-Reranker-0.6B-Q8_0-GGUF"):
        with pytest.raises(UnsupportedError, match=f"^{source} is GGUF, .*export the original checkpoint"):
            locate(source)


def test_an_alias_is_a_hub_id_with_a_family(hub: StandInHub) -> None:
    hub.add("Qwen/Qwen3-Reranker-0.6B", {"config.json": b"{}"})
    found = locate("qwen3-reranker")
    assert (found.name, found.id, found.family) == (
        "qwen3-reranker",
        ALIASES["qwen3-reranker"].repo_id,
        "qwen3-reranker",
    )
    assert found.licence == "apache-2.0"
    by_id = locate("Qwen/Qwen3-Reranker-0.6B")
    assert (by_id.name, by_id.family, by_id.licence) == ("qwen3-reranker-0.6b", "qwen3-reranker", "apache-2.0")


def test_every_family_has_an_alias_with_licence_and_size() -> None:
    assert {alias.family for alias in ALIASES.values()} == set(FAMILIES)
    assert all(alias.licence and alias.parameters for alias in ALIASES.values())


def test_an_alias_wins_over_a_folder_of_that_name(
    hub: StandInHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    hub.add("Qwen/Qwen3-Reranker-0.6B", {"config.json": b"{}"})
    for alias in ("demo", "qwen3-reranker"):
        (tmp_path / alias).mkdir()
        assert locate(alias).family == "qwen3-reranker"
        assert locate(f"./{alias}").folder == (tmp_path / alias).resolve()


@pytest.mark.parametrize(
    ("matter", "licence"),
    [
        ("license: mit", "mit"),
        ("license: 'mit'  # of the weights", "mit"),
        ('license: "apache-2.0"', "apache-2.0"),
        ("license:\ntags:\n- x", None),
        ("license_name: mit", None),
        ("license: other\nlicense_name: nvidia-open-model-license", "nvidia-open-model-license"),
        ("license: other", "other"),
    ],
)
def test_the_licence_is_read_from_the_front_matter(tmp_path: Path, matter: str, licence: str | None) -> None:
    (tmp_path / "README.md").write_text(f"---\n{matter}\n---\nlicense: text\n")
    assert locate(str(tmp_path)).licence == licence


@pytest.mark.parametrize(
    ("source", "revision", "sentence"),
    [
        ("qwen3-rerank", None, "did you mean qwen3-reranker?"),
        ("", None, "'' is neither an alias"),
        ("./nowhere", None, "./nowhere is no folder; check the path."),
        ("no\\where", None, "no\\where is no folder; check the path."),
        ("no/where/else", None, "no/where/else is no folder; check the path."),
        ("~/nowhere", None, "~/nowhere is no folder; check the path."),
        ("x" * 300, None, "is neither an alias"),
        ("xyzzy plugh", None, "see `export-model --list`"),
        ("demo", "main", "--revision main is for hub ids"),
        (str(Path(__file__).parent), "main", "is a local folder; leave it out"),
    ],
)
def test_what_is_no_source_is_one_sentence(source: str, revision: str | None, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        locate(source, revision=revision)
    assert sentence in str(caught.value)
