"""Settings of metrics and other observers of a run. None of them changes the results."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from corpus.settings import Settings


class PrometheusSettings(Settings):
    """Settings of metrics in Prometheus' format: at a port, in a file, or at a Pushgateway."""

    port: int | None = Field(
        None,
        ge=0,
        le=65_535,
        description="The port at which Prometheus reads the metrics while the run goes on; 0 is any free one, which is "
        "printed.",
    )
    address: str = Field(
        "127.0.0.1", description="The address that the port belongs to; 0.0.0.0 is all addresses of this machine."
    )
    textfile: str | None = Field(
        None, description="The local file that gets the metrics, for the textfile collector of node_exporter."
    )
    pushgateway: str | None = Field(
        None, description='The URL of a Pushgateway that gets the metrics, such as "http://gateway:9091".'
    )
    job: str = Field("rzen-corpus", min_length=1, description="The job under which a Pushgateway has the metrics.")

    @model_validator(mode="after")
    def _goes_somewhere(self) -> PrometheusSettings:
        if self.port is None and self.textfile is None and self.pushgateway is None:
            raise ValueError("set `port`, `textfile` or `pushgateway`: else the metrics go nowhere")
        return self


class OpenTelemetrySettings(Settings):
    """Settings of metrics that are sent by OTLP over HTTP."""

    endpoint: str | None = Field(
        None,
        description='The whole URL to which metrics are posted, such as "http://collector:4318/v1/metrics"; null is '
        "what OpenTelemetry's own variables of the environment say.",
    )


class MetricsSettings(Settings):
    """Settings of metrics and other observers of a run."""

    prometheus: PrometheusSettings | None = Field(None, description="Metrics for Prometheus; null is none.")
    opentelemetry: OpenTelemetrySettings | None = Field(None, description="Metrics by OTLP; null is none.")
    observers: dict[str, dict[str, Any]] = Field(
        default={},
        description="Observers of other packages by the names of their entry points, each with its own settings.",
    )
    interval_s: float = Field(
        10.0, gt=0, description="Seconds between two exports to a file, a gateway or an endpoint."
    )
    timeout_s: float = Field(10.0, gt=0, description="The time after which one export is given up.")
