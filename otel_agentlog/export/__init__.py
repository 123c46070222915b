"""Where it is sent: spans, log records and metrics over OTLP. The only sub-package that imports the OpenTelemetry SDK.

providers.py  joins or makes the OpenTelemetry providers; `Telemetry` is everything that one `configure` sends with
sink.py       queues lines; on the delivery worker's thread it makes of them what is sent
encoding.py   spans and log records of lines as OTLP bytes: live, shipped and exported alike
records.py    from a line to the fields of an OTLP log record; redacts spans and log records of others
metrics.py    the table of metrics, their labels, and which line feeds which metric
histograms.py adds up histograms where the SDK's way costs more; what its reader collects, with these and with exemplars
folder_exporters.py  exporters that OpenTelemetry makes by our name; they begin to record, and export nothing
existing.py   where the exporters of a provider send that was there before us
foreign.py    the processors that take spans and log records of other libraries
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
