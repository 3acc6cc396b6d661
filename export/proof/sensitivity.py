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
from numpy.typing import NDArray

from onnxrank.progress import Done

# Second moments that are collected at the same time; more layers take further passes over the texts.
GROUP_BYTES = 1_200_000_000
# Rows of moments that are computed at once, without those left of the diagonal.
PANEL = 256
# The weight that every token has, as a share of the mean weight: in the last layer the score depends on one token only.
FLOOR = 0.05


@dataclass(slots=True)
class Call:
    """One use of an input: x [tokens, K], and how much the score depends on each token, [tokens]."""

    x: Any
    weight: Any = 0.0


@dataclass(slots=True, kw_only=True)
class Site:
    """The input of one or several linear layers.

    panels: the upper half of its second moments, rows from the diagonal on. calls: of the current text, not yet added.
    """

    layers: list[str]
    panels: list[Any]
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

    scores: compute one text's logits each, a tensor. `done(1)` is called as often as there are texts.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    # Gradients of activations need one input that has a gradient.
    model.get_input_embeddings().register_forward_hook(
        lambda module, inputs, output: output.float().requires_grad_(True)
    )
    vocabulary = model.get_output_embeddings()
    layers = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not vocabulary
    }
    files: dict[str, str] = {}
    groups = list(_groups(_sites(layers, scores[0])))
    texts = 0
    for group in groups:
        sites = [Site(layers=names, panels=_panels(torch, layers[names[0]].in_features)) for names in group]
        hooks = [
            layers[name].register_forward_hook(_hook(site, first=not i))
            for site in sites
            for i, name in enumerate(site.layers)
        ]
        for score in scores:
            score().sum().backward()
            for site in sites:
                _add(site, sum(layers[name].out_features for name in site.layers))
            texts += 1
            if texts % len(groups) == 0:
                done(1)
        for hook in hooks:
            hook.remove()
        for site in sites:
            file = folder / f"{site.layers[0]}.npy"
            np.save(file, _whole([panel.numpy() for panel in site.panels]))
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
    return [(names, 2 * layers[names[0]].in_features ** 2) for names in inputs.values()]


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


def _panels(torch: Any, size: int) -> list[Any]:
    return [torch.zeros(min(PANEL, size - start), size - start) for start in range(0, size, PANEL)]


def _whole(panels: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the symmetric matrix of which the panels are the upper half."""
    size = panels[0].shape[1]
    whole = np.zeros((size, size), np.float32)
    for panel in panels:
        start = size - panel.shape[1]
        whole[start : start + len(panel), start:] = panel
        whole[start:, start : start + len(panel)] = panel.T
    return whole


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
        weighted = (call.x * weight[:, None]).T
        start = 0
        for panel in site.panels:
            panel += weighted[start : start + len(panel)] @ call.x[:, start:]
            start += len(panel)
    site.calls.clear()
