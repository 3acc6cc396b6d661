"""Commands that are ended early, by a signal or by their output: soon, quietly, with nothing left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from tests.exports import export_tiny

ONNXRANK = [sys.executable, "-c", "from onnxrank.cli.app import main; main()"]
EXPORT = [sys.executable, "-c", "from onnxrank.export.main import main; main()"]
# The promise is one second; the bound allows for a busy machine, and is far below what the interrupted work takes.
BOUND_SECONDS = 5.0


def start(command: Sequence[object]) -> "subprocess.Popen[str]":
    return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: "subprocess.Popen[str]", number: signal.Signals) -> tuple[int, str]:
    """Return the status and standard error of a process that got a signal."""
    sent = time.monotonic()
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert time.monotonic() - sent < BOUND_SECONDS
    return process.returncode, stderr


def wait_for_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.fixture(scope="module")
def slow_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph that multiplies matrices for about a minute in one call."""
    shape = [4096, 4096]
    loop_body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["going"]), helper.make_node("MatMul", ["x", "y"], ["z"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("x", TensorProto.FLOAT, shape),
        ],
        [
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("z", TensorProto.FLOAT, shape),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["times", "", "y"], ["result"], body=loop_body)],
        "slow",
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("result", TensorProto.FLOAT, shape)],
        [helper.make_tensor("times", TensorProto.INT64, [], [40])],
    )
    path = tmp_path_factory.mktemp("slow") / "slow.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


BUSY = """
import sys
from pathlib import Path
import numpy as np, onnxruntime
from onnxrank.artifact.staging import staged
from onnxrank.cli.console import run

def work():
    with staged(Path(sys.argv[2])) as folder:
        (folder / "file").write_text("half")
        session = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
        print("computing", flush=True)
        session.run(None, {"y": np.zeros((4096, 4096), np.float32)})

run(work)
"""


@pytest.mark.parametrize(
    ("number", "status", "said"), [(signal.SIGINT, 130, "interrupted\n"), (signal.SIGTERM, 143, "")]
)
def test_a_signal_takes_effect_while_onnx_runtime_computes(
    slow_graph: Path, tmp_path: Path, number: signal.Signals, status: int, said: str
) -> None:
    process = start([sys.executable, "-c", BUSY, slow_graph, tmp_path / "out"])
    assert wait_for_line(process) == "computing"
    time.sleep(0.3)
    assert list(tmp_path.iterdir())
    assert end(process, number) == (status, said)
    assert not list(tmp_path.iterdir())


WAITING = """
import sys
from onnxrank.cli.console import run
from onnxrank.export.proof import oracle

helper = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); print('{}', flush=True); time.sleep(60)"
oracle.command = lambda module: [sys.executable, "-c", helper, sys.argv[1]]
run(lambda: oracle.ask({}, lambda count: print("waiting", flush=True)))
"""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_helper_process_too(number: signal.Signals, status: int, tmp_path: Path) -> None:
    process = start([sys.executable, "-c", WAITING, tmp_path / "pid"])
    assert wait_for_line(process) == "waiting"
    helper_pid = int((tmp_path / "pid").read_text())
    os.kill(helper_pid, 0)
    assert end(process, number)[0] == status
    with pytest.raises(ProcessLookupError):
        os.kill(helper_pid, 0)


def test_an_export_that_is_ended_leaves_nothing(tiny_checkpoint: Path, tmp_path: Path) -> None:
    process = start([*EXPORT, tiny_checkpoint, "--family", "qwen3-reranker", "--fp32", "--out", tmp_path / "out"])
    while not list(tmp_path.iterdir()):
        assert process.poll() is None
        time.sleep(0.05)
    assert end(process, signal.SIGTERM) == (143, "")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def artifact(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("artifacts") / "tiny"
    export_tiny(tiny_checkpoint, out, family="qwen3-reranker")
    return out


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_output_to_a_closed_pipe_ends_quietly(artifact: Path, options: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(
        [*ONNXRANK, "info", artifact, *options], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (result.returncode, result.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is Linux's")
@pytest.mark.parametrize("options", [(), ("--json",)])
def test_a_full_disk_under_standard_output_is_one_sentence(artifact: Path, options: tuple[str, ...]) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [*ONNXRANK, "info", artifact, *options], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert result.returncode == 1
    assert result.stderr == (
        "error: standard output cannot be written, because the disk is full; free some space, or write elsewhere.\n"
    )
