"""The results as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.engines import OURS


def markdown(results: Mapping[str, Any]) -> str:
    """Return a page with a table for each part that was run."""
    machine, ceilings = results["machine"], results["ceilings"]
    parts = [
        "# Benchmarks" + (" (quick)" if results["quick"] else ""),
        f"{machine['cores']} cores of {machine['processor']} ({', '.join(machine['instructions'])}), "
        f"ONNX Runtime {machine['onnxruntime']}, PyTorch {machine['torch']}. Random weights of Qwen3-Reranker-0.6B's "
        f"dimensions; engines run in turns, {results['rounds']} rounds; medians; sweeps run once. "
        "All get the same tokens.",
        f"Matrix products alone, in the same rounds: int8 {_range(ceilings['int8'])} GF/s, "
        f"fp32 {_range(ceilings['fp32'])} GF/s.",
    ]
    parts += [_request(name, body) for name, body in results["requests"].items()]
    parts.append(_engines(results["engines"]))
    parts += [_growth(sweep, by_engine) for sweep, by_engine in results.get("growth", {}).items()]
    writers = {"long": _long, "maxsim": _maxsim, "encoding": _encoding, "exits": _exits}
    parts += [write(results[name]) for name, write in writers.items() if name in results]
    return "\n\n".join(parts) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _request(name: str, body: Mapping[str, Any]) -> str:
    floor = (
        f"{body['tokens']} tokens cannot be cached before the request ({body['prompt_tokens']} in whole prompts); "
        f"at the int8 ceiling they take {body['floor_seconds']:.2f} s."
    )
    rows = [
        [
            engine,
            f"{figures['median_seconds']:.2f}",
            _times(figures.get("times_ours")),
            _times(figures["times_floor"]),
            f"{figures['useful_gigaflops']:.0f}",
            f"{figures['computed_gigaflops']:.0f}",
            f"{figures['kendall_tau']:.3f}" if "kendall_tau" in figures else "",
        ]
        for engine, figures in body["engines"].items()
    ]
    columns = ["engine", "seconds", f"x {OURS}", "x floor", "useful GF/s", "computed GF/s", "tau to PyTorch fp32"]
    return f"## {name}\n\n{floor}\n\n{table(columns, rows)}"


def _engines(engines: Mapping[str, Any]) -> str:
    rows = [
        [
            name,
            f"{facts['weights_megabytes']:.0f}",
            f"{facts['seconds_to_first_score']:.1f}",
            f"{facts['peak_megabytes']}",
            facts["settings"],
        ]
        for name, facts in engines.items()
    ]
    return "## Engines\n\n" + table(["engine", "weights, MB", "start to first score, s", "peak, MB", "settings"], rows)


def _long(long: Mapping[str, Any]) -> str:
    rows = [
        [name, f"{found['seconds']:.2f}", str(found["peak_megabytes"]), str(found["peak_megabytes_before"])]
        for name, found in long.items()
    ]
    return "## W4: one long document\n\n" + table(["engine", "seconds", "peak, MB", "peak before, MB"], rows)


def _growth(sweep: str, by_engine: Mapping[str, Mapping[str, float]]) -> str:
    values = list(dict.fromkeys(value for spent in by_engine.values() for value in spent))
    rows = [
        [name, *(f"{spent[value]:.2f}" if value in spent else "" for value in values)]
        for name, spent in by_engine.items()
    ]
    return f"## Seconds by {sweep}\n\n" + table(["engine", *values], rows)


def _exits(found: Mapping[str, Any]) -> str:
    layers = list(next(iter(found["long"].values())))
    rows = [[length, *(f"{body['seconds'][exit_]:.3f}" for exit_ in layers)] for length, body in found["short"].items()]
    rows += [[length, *(f"{body[exit_]['seconds']:.2f}" for exit_ in layers)] for length, body in found["long"].items()]
    pytorch = found["against_pytorch_fp32_at_512"]
    return (
        f"## W5: mmBERT {found['variant']}, seconds by tokens and exit\n\n"
        + table(["tokens", *(f"{exit_} layers" for exit_ in layers)], rows)
        + f"\n\nPyTorch fp32 at 512 tokens: {pytorch['seconds_of_pytorch_sdpa_fp32']} s, ours next to it "
        f"{pytorch['seconds']} s."
    )


def _maxsim(found: Mapping[str, float]) -> str:
    return (
        f"## W6: MaxSim\n\nOver {found['documents']} documents: {found['seconds']} s, the same products in BLAS "
        f"{found['seconds_of_blas']} s, {found['ratio']} x."
    )


def _encoding(found: Mapping[str, Any]) -> str:
    return (
        f"## W6: ColBERT's encoding\n\n{found['documents']} documents of {found['tokens']} tokens "
        f"({found['variant']}): {found['seconds']} s, the body alone in PyTorch fp32 "
        f"{found['seconds_of_pytorch_fp32']} s."
    )


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.0f} to {max(values):.0f}"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"
