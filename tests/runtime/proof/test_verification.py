from typing import Any

import pytest

from onnxrank.artifact.golden import Golden
from onnxrank.errors import BackendError
from onnxrank.proof.verification import repeat_oracle


def test_a_missing_exporter_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxrank.proof.verification.entry_points", lambda group: [])
    manifest: Any = None
    with pytest.raises(BackendError, match=r"need the exporter: `pip install onnxrank\[export\]`"):
        repeat_oracle(manifest, Golden(oracle={}, pairs=()), "demo")
