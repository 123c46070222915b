"""One request to a collector, over http or gRPC.

senders.py          which sender a signal gets, by exporter and protocol
http.py             OTLP over http, with urllib3
grpc.py             OTLP over gRPC
headers.py          the headers that the variable names
metric_exporter.py  the exporter of metrics over http
statsd.py           the exporter of metrics to StatsD
otlp.py             OTLP requests and responses; what others made with the SDK
services.py         OTLP's services: their names, and the messages that they answer with
wire.py             OTLP's protobuf encoding: attributes, values, the frame of a request
result.py           status codes to verdicts, Retry-After, partial success
outlet.py           takes requests in the place of a collector, in tests
suppression.py      keeps our own sending out of what is recorded
"""
