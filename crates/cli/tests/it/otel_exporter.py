"""Sends three spans with OpenTelemetry's own exporter and prints the trace id and the span names as JSON.

    otel_exporter.py grpc|http ENDPOINT
"""
import json
import sys

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode


def exporter(protocol, endpoint):
    if protocol == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import Compression, OTLPSpanExporter

        return OTLPSpanExporter(endpoint=endpoint, insecure=True, compression=Compression.Gzip)
    from opentelemetry.exporter.otlp.proto.http import Compression
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=endpoint, compression=Compression.Gzip)


def main():
    protocol, endpoint = sys.argv[1:3]
    provider = TracerProvider(resource=Resource.create({"service.name": f"python-{protocol}", "host.name": "测试"}))
    provider.add_span_processor(BatchSpanProcessor(exporter(protocol, endpoint)))
    tracer = provider.get_tracer("eino.test", "1.0")
    with tracer.start_as_current_span("GET /checkout", kind=SpanKind.SERVER) as root:
        root.set_attribute("http.request.method", "GET")
        root.set_attribute("numbers", [1, 2, 3])
        with tracer.start_as_current_span("price", kind=SpanKind.INTERNAL) as child:
            child.add_event("cache miss", {"key": "sku-1"})
        with tracer.start_as_current_span("POST", kind=SpanKind.CLIENT) as call:
            call.set_status(Status(StatusCode.ERROR, "refused"))
    provider.force_flush()
    provider.shutdown()
    trace_id = format(root.get_span_context().trace_id, "032x")
    print(json.dumps({"trace_id": trace_id, "names": ["GET /checkout", "price", "POST"]}))


main()
