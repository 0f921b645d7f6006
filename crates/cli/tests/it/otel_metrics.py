"""Sends metrics with OpenTelemetry's own exporter: deltas, an exponential and an explicit histogram, exemplars.

    otel_metrics.py grpc|http ENDPOINT

Two exports, each with the values 1 to 100 in both histograms and 3 orders.
"""
import sys

from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider

DELTA = {Counter: AggregationTemporality.DELTA, Histogram: AggregationTemporality.DELTA}


def exporter(protocol, endpoint):
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter

        return OTLPMetricExporter(endpoint=endpoint, insecure=True, preferred_temporality=DELTA)
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return OTLPMetricExporter(endpoint=endpoint, preferred_temporality=DELTA)


def main():
    protocol, endpoint = sys.argv[1:3]
    reader = PeriodicExportingMetricReader(exporter(protocol, endpoint), export_interval_millis=3_600_000)
    exponential = View(instrument_name="latency", aggregation=ExponentialBucketHistogramAggregation())
    resource = Resource.create({"service.name": f"python-{protocol}", "service.instance.id": "i1", "host.name": "h1"})
    provider = MeterProvider([reader], resource=resource, views=[exponential])
    tracer = TracerProvider(resource=resource).get_tracer("eino.test")
    meter = provider.get_meter("eino.test", "1.0")
    latency = meter.create_histogram("latency", unit="s")
    size = meter.create_histogram("size", unit="By")
    orders = meter.create_counter("orders", unit="{order}")
    for _ in range(2):
        with tracer.start_as_current_span("request"):
            for value in range(1, 101):
                latency.record(value, {"path": "/"})
                size.record(value)
            orders.add(3)
        provider.force_flush()
    provider.shutdown()


main()
