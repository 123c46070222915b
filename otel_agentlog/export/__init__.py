"""Where it is sent: spans, log records and metrics over OTLP. The only sub-package that imports the OpenTelemetry SDK.

providers.py  joins or makes the OpenTelemetry providers; `Telemetry` is everything that one `configure` sends with
sink.py       from lines to the delivery worker; the processors that collect finished spans and log records
records.py    from a line to the fields of an OTLP log record; redacts spans and log records of others
metrics.py    the table of metrics, their labels, and which line feeds which metric
foreign.py    the span processor that passes spans of other libraries to `record`
rebuild.py    spans and log records from what a folder gives back
shipping.py   sends items of a folder in batches
otlp_json.py  writes items of a folder as OTLP JSON lines
probe.py      sends one test span and one test log record, for `agentlog doctor`
semconv/      names and attributes by the semantic conventions
pipeline/     queues, threads and retries of what is sent
transport/    one request to a collector, over http or gRPC
"""

from otel_agentlog.settings.standard import usable_variables

with usable_variables() as hidden:
    if hidden:
        # The SDK reads some variables when it is imported, and raises there.
        import opentelemetry.sdk.trace  # noqa: F401
