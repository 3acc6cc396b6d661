"""Ray Serve: the application of `onnxrank serve` as a deployment, with as many replicas as the queued tokens need."""

import math
from pathlib import Path
from typing import Any

from onnxrank.errors import BackendError, OutputError

try:
    from ray import serve
    from ray.serve.config import AutoscalingConfig, AutoscalingContext, AutoscalingPolicy

    from onnxrank.serve.http.app import make_app
    from onnxrank.serve.http.settings import Settings
    from onnxrank.serve.model.served_model import ServedModel
    from onnxrank.serve.scheduling.limits import Limits
    from onnxrank.serve.scheduling.scheduler import Scheduler
except ImportError as error:
    raise BackendError(
        "onnxrank.integrations.ray_serve needs Ray Serve and the server, of which something is not installed: "
        "`pip install onnxrank[ray,serve]`."
    ) from error

METRIC = "queued_tokens"


def application(
    artifact: str | Path,
    *,
    variant: str | None = None,
    num_cpus: int = 1,
    replicas: tuple[int, int] = (1, 8),
    queued_tokens: int = 20_000,
) -> "serve.Application":
    """Return what `ray.serve.run` runs: all routes of `onnxrank serve`, for one artifact.

    artifact: a folder that every node has at the same path, or a hub id. num_cpus: cores of a replica, as many as its
    scorer has threads. replicas: the least and the most. queued_tokens: what may wait at a replica.
    """
    folder = Path(artifact)
    policy = AutoscalingPolicy(policy_function=QueuePolicy, policy_kwargs={METRIC: queued_tokens})
    scaling = AutoscalingConfig(min_replicas=replicas[0], max_replicas=replicas[1], policy=policy)
    made = serve.deployment(
        serve.ingress()(Replica),
        name="onnxrank",
        # The scheduler of the replica decides what waits and what is refused.
        max_ongoing_requests=1000,
        autoscaling_config=scaling,
        ray_actor_options={"num_cpus": num_cpus},
    )
    return made.bind(str(folder.resolve() if folder.is_dir() else artifact), variant, num_cpus)


class Replica:
    """One process with a model and its queue."""

    async def __init__(self, artifact: str, variant: str | None, threads: int) -> None:  # type: ignore[misc]  # Ray waits
        model = ServedModel(artifact, variant=variant, threads=threads)
        self._models = {model.name: model}
        self._scheduler = Scheduler(self._models, Limits())
        await self._scheduler.start()

    def __serve_build_asgi_app__(self) -> Any:
        """Ray asks for the application by this name."""
        return make_app(self._models, self._scheduler, Settings())

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """Ray asks for what `QueuePolicy` reads."""
        return {METRIC: float(self._scheduler.state.queued_tokens)}

    async def check_health(self) -> None:
        """Raise OutputError if the replica does not answer any more; Ray then starts another."""
        if reason := self._scheduler.state.reason:
            raise OutputError(reason)


class QueuePolicy:
    """A replica for every `queued_tokens` that wait at all of them."""

    def __init__(self, queued_tokens: int) -> None:
        self._each = queued_tokens

    def __call__(self, context: "AutoscalingContext") -> tuple[int, dict[str, Any]]:
        """Return how many replicas there should be; Ray keeps them within its limits."""
        waiting = sum((context.aggregated_metrics or {}).get(METRIC, {}).values())
        return max(1, math.ceil(waiting / self._each)), {}
