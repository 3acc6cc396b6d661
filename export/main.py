"""Entry point of the `export-model` command: checks that the packages of the `export` extra are installed, because the
rest of this folder imports them."""

from importlib.util import find_spec

from onnxrank.cli.console import run
from onnxrank.errors import BackendError

PACKAGES = (
    "ir_measures", "jinja2", "ml_dtypes", "onnx", "onnx_ir", "onnxscript", "regex", "safetensors", "torch",
    "transformers",
)  # fmt: skip


def main() -> None:
    """Run the command."""
    run(_start)


def _start() -> None:
    for package in PACKAGES:
        if find_spec(package) is None:
            raise BackendError(
                f"export-model needs the exporter, and {package} is not installed: `pip install onnxrank[export]`."
            )
    from onnxrank.export.cli import app

    app()
