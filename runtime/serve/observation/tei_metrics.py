"""TEI's names for what it measures too, for dashboards made for TEI."""

from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from onnxrank.serve.observation.facts import Facts
from onnxrank.serve.scheduling.state import State

# Seconds.
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_TOKENS = (16, 64, 256, 1024, 4096, 16384)
_FAILURES = {413: "batch_size", 424: "backend", 429: "overloaded", 503: "unhealthy", 504: "overloaded"}


class TeiMetrics(Collector):
    """Makes its counters itself, because prometheus_client's cannot have a name that ends in _count."""

    def __init__(self, state: Callable[[], State], registry: CollectorRegistry) -> None:
        self._state = state
        self._requests = self._answered = 0
        self._failed: Counter[str] = Counter()
        self._durations = [
            Histogram(f"te_request_{name}", "Seconds.", buckets=BUCKETS, registry=registry)
            for name in ("duration", "tokenization_duration", "queue_duration", "inference_duration")
        ]
        self._rows = Histogram("te_batch_next_size", "Rows.", buckets=(1, 4, 16, 64, 256), registry=registry)
        self._tokens = Histogram("te_batch_next_tokens", "Tokens.", buckets=_TOKENS, registry=registry)
        registry.register(self)

    def count(self, facts: Facts) -> None:
        """Count a request for scores or embeddings."""
        self._requests += 1
        if facts.status != 200:
            self._failed[_FAILURES.get(facts.status, "validation")] += 1
            return
        self._answered += 1
        timing = facts.timing
        spent = (timing.total, timing.tokenization, timing.queue, timing.inference)
        for histogram, seconds in zip(self._durations, spent, strict=True):
            histogram.observe(seconds)

    def count_round(self, rows: int, tokens: int) -> None:
        """Count a pack of work."""
        self._rows.observe(rows)
        self._tokens.observe(tokens)

    def collect(self) -> Iterator[Metric]:
        yield _metric("te_request_count", {"method": "batch"}, self._requests)
        yield _metric("te_request_success", {"method": "batch"}, self._answered)
        for kind, count in self._failed.items():
            yield _metric("te_request_failure", {"err": kind}, count)
        yield _metric("te_queue_size", {}, self._state().queued_requests)


def _metric(name: str, labels: dict[str, str], value: float) -> Metric:
    metric = Metric(name, "As TEI's.", "unknown")
    metric.add_sample(name, labels, value)
    return metric
