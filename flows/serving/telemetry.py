"""Metrics of the service for Prometheus. None of them is about a single film."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from flows.serving.models import Model

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10)
FILMS = (1, 2, 4, 8, 16)


class Telemetry:
    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "pneumo_requests", "Requests answered.", ["path", "status"], registry=self._registry
        )
        self._seconds = Histogram(
            "pneumo_request_seconds",
            "From a request to its answer.",
            ["path"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._films = Histogram(
            "pneumo_batch_films",
            "Films read at once.",
            buckets=FILMS,
            registry=self._registry,
        )
        self._decisions = Counter(
            "pneumo_decisions", "Films read.", ["decision"], registry=self._registry
        )
        self._refused = Counter(
            "pneumo_model_refusals",
            "Times that the model behind the alias could not be used.",
            registry=self._registry,
        )
        self._model = Gauge(
            "pneumo_model",
            "1 for the model that answers.",
            ["name", "version", "alias"],
            registry=self._registry,
        )

    def request(self, path: str, status: int, seconds: float) -> None:
        self._requests.labels(path, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def batch(self, num_films: int) -> None:
        self._films.observe(num_films)

    def decision(self, decision: str) -> None:
        self._decisions.labels(decision).inc()

    def refusal(self) -> None:
        self._refused.inc()

    def model(self, model: Model) -> None:
        self._model.clear()
        self._model.labels(model.name, model.version, model.alias or "").set(1)

    def exposition(self) -> bytes:
        return generate_latest(self._registry)
