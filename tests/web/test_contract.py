from tests.web.contract import COMMAND, FILE, contract


def test_the_contract_for_javascript_is_up_to_date() -> None:
    assert FILE.read_text(encoding="utf-8") == contract(), f"run `{COMMAND}` and commit {FILE.name}"
