"""Prometheus metrics: few, with few labels; with TEI's names as well for dashboards made for TEI."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from onnxrank.serve.observation.facts import Facts
from onnxrank.serve.observation.tei_metrics import BUCKETS, TeiMetrics
from onnxrank.serve.scheduling.observer import Observer
from onnxrank.serve.scheduling.state import State


class Metrics:
    """Counts requests; reads the queue when asked."""

    def __init__(self, state: Callable[[], State], *, tei: bool) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "onnxrank_requests", "Requests by route and status.", ["route", "status"], registry=registry
        )
        self._seconds = Histogram(
            "onnxrank_request_seconds", "From head to answer.", ["route"], buckets=BUCKETS, registry=registry
        )
        self._queue, self._inference = (
            Histogram(f"onnxrank_{name}_seconds", text, buckets=BUCKETS, registry=registry)
            for name, text in (("queue", "From tokens to the first pack."), ("inference", "In packs."))
        )
        self._documents, self._truncated, self._tokens = (
            Counter(f"onnxrank_{name}", text, registry=registry)
            for name, text in (
                ("documents", "Documents of answered requests."),
                ("truncated_documents", "Documents of which a part was not read."),
                ("tokens", "Tokens of answered requests, prompts included."),
            )
        )
        registry.register(_Queue(state))
        ProcessCollector(registry=registry)
        self._tei = TeiMetrics(state, registry) if tei else None
        self.rounds = _Rounds(registry, self._tei)

    def __call__(self, facts: Facts) -> None:
        """Count a request."""
        self._requests.labels(facts.route, str(facts.status)).inc()
        self._seconds.labels(facts.route).observe(facts.seconds)
        if facts.documents and facts.status == 200:
            self._documents.inc(facts.documents)
            self._truncated.inc(facts.truncated)
            self._tokens.inc(facts.tokens)
            self._queue.observe(facts.timing.queue)
            self._inference.observe(facts.timing.inference)
        if self._tei and facts.method == "POST":
            self._tei.count(facts)

    def text(self) -> bytes:
        """Return Prometheus's text format."""
        return generate_latest(self._registry)


class _Queue(Collector):
    def __init__(self, state: Callable[[], State]) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        state = self._state()
        yield GaugeMetricFamily("onnxrank_ready", "1 if it takes requests.", int(state.ready))
        yield GaugeMetricFamily("onnxrank_queued_requests", "Requests that wait.", state.queued_requests)
        yield GaugeMetricFamily("onnxrank_queued_tokens", "Tokens that wait.", state.queued_tokens)
        yield GaugeMetricFamily("onnxrank_running_requests", "Requests of the pack that runs.", state.running_requests)
        yield GaugeMetricFamily("onnxrank_tokens_per_second", "Measured speed.", state.tokens_per_second)


class _Rounds(Observer):
    """Counts what the scheduler computes, which is less than what is asked for: results are shared and cached."""

    def __init__(self, registry: CollectorRegistry, tei: TeiMetrics | None) -> None:
        self._computed = Counter("onnxrank_computed_tokens", "Tokens that ran through a model.", registry=registry)
        self._seconds = Histogram("onnxrank_round_seconds", "Of a pack of work.", buckets=BUCKETS, registry=registry)
        self._cached = Counter("onnxrank_cached_results", "Scores that the cache knew.", registry=registry)
        self._tei = tei

    def round_ended(self, model: str, rows: int, tokens: int, seconds: float) -> None:
        self._computed.inc(tokens)
        self._seconds.observe(seconds)
        if self._tei:
            self._tei.count_round(rows, tokens)

    def results_shared(self, model: str, cached: int, rows: int) -> None:
        self._cached.inc(cached)
