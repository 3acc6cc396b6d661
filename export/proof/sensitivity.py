"""Measures what rounding a weight costs: second moments of its inputs, where a token counts as much as the score
depends on its output (GuidedQuant 2025).

It gets PyTorch and a loaded model as arguments: it runs in the oracle's process.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from onnxrank.progress import Done

# Second moments that are collected at the same time; more layers take further passes over the texts.
GROUP_BYTES = 1_000_000_000
# The weight that every token has, as a share of the mean weight: in the last layer the score depends on one token only.
FLOOR = 0.05


@dataclass(slots=True)
class Call:
    """One use of an input: x [tokens, K], and how much the score depends on each token, [tokens]."""

    x: Any
    weight: Any = 0.0


@dataclass(slots=True, kw_only=True)
class Site:
    """The input of one or several linear layers. calls: of the current text, not yet added to the moments."""

    layers: list[str]
    moments: Any
    calls: list[Call] = field(default_factory=list)


def collect(
    torch: Any,
    model: Any,
    scores: Sequence[Callable[[], Any]],
    *,
    folder: Path,
    done: Done,
) -> dict[str, str]:
    """Write the second moments [K, K], float32, of each linear layer's inputs to `folder`; return the files by the
    names of the layers' modules. Layers with a common input share a file.

    scores: compute one text's logits each, a tensor. `done(1)` is called after each text.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    # Gradients of activations need one input that has a gradient.
    model.get_input_embeddings().register_forward_hook(lambda module, inputs, output: output.requires_grad_(True))
    vocabulary = model.get_output_embeddings()
    layers = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not vocabulary
    }
    files: dict[str, str] = {}
    for group in _groups(_sites(layers, scores[0])):
        sites = [Site(layers=names, moments=torch.zeros(2 * (layers[names[0]].in_features,))) for names in group]
        hooks = [
            layers[name].register_forward_hook(_hook(site, first=not i))
            for site in sites
            for i, name in enumerate(site.layers)
        ]
        for score in scores:
            score().sum().backward()
            for site in sites:
                _add(site, sum(layers[name].out_features for name in site.layers))
            done(1)
        for hook in hooks:
            hook.remove()
        for site in sites:
            file = folder / f"{site.layers[0]}.npy"
            np.save(file, site.moments.numpy())
            files |= dict.fromkeys(site.layers, str(file))
    return files


def _sites(layers: dict[str, Any], score: Callable[[], Any]) -> list[tuple[list[str], int]]:
    """Return the layers of each input, and the bytes of the input's second moments."""
    inputs: dict[int, list[str]] = defaultdict(list)
    kept: list[Any] = []

    def note(name: str) -> Callable[[Any, Any], None]:
        def hook(module: Any, arguments: Any) -> None:
            kept.append(arguments[0])  # so that no other tensor gets its id
            # A model may run several times for one score.
            if not any(name in names for names in inputs.values()):
                inputs[id(arguments[0])].append(name)

        return hook

    hooks = [layer.register_forward_pre_hook(note(name)) for name, layer in layers.items()]
    score()
    for hook in hooks:
        hook.remove()
    return [(names, 4 * layers[names[0]].in_features ** 2) for names in inputs.values()]


def _groups(sites: Sequence[tuple[list[str], int]]) -> Iterator[list[list[str]]]:
    group: list[list[str]] = []
    total = 0
    for names, size in sites:
        if group and total + size > GROUP_BYTES:
            yield group
            group, total = [], 0
        group.append(names)
        total += size
    if group:
        yield group


def _hook(site: Site, *, first: bool) -> Callable[[Any, Any, Any], None]:
    """Return a hook for a layer of the site. first: whether it is the one that runs first."""

    def forward(module: Any, inputs: Any, output: Any) -> None:
        if first:
            site.calls.append(Call(inputs[0].detach().reshape(-1, module.in_features)))
        call = site.calls[-1]

        def backward(gradient: Any) -> None:
            call.weight = call.weight + gradient.reshape(-1, module.out_features).square().sum(1)

        output.register_hook(backward)

    return forward


def _add(site: Site, outputs: int) -> None:
    """Add the current text's calls to the moments. outputs: of all the site's layers."""
    for call in site.calls:
        weight = (call.weight + FLOOR * call.weight.mean()) / outputs
        site.moments += (call.x * weight[:, None]).T @ call.x
    site.calls.clear()
