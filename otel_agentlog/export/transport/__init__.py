"""One request to a collector, over http or gRPC.

senders.py          which sender a signal gets, by exporter and protocol
http.py             OTLP over http, with urllib3
grpc.py             OTLP over gRPC, with the official stubs
metric_exporter.py  the exporter of metrics over http
otlp.py             OTLP messages: encodes requests, reads responses
result.py           status codes to verdicts, Retry-After, partial success
suppression.py      keeps our own sending out of what is recorded
"""
