"""A receiver of OTLP for tests: over http and gRPC, with faults that can be set while it runs.

receiver.py     `OtlpReceiver`: where it listens, how it answers, what it got
answers.py      how it answers: well, or like the backends that a program has to survive
http_server.py  the side that speaks http
grpc_server.py  the side that speaks gRPC
incoming.py     one request on its way from such a side to the receiver
decode.py       spans and log records as plain dicts
metrics.py      metrics as plain dicts
values.py       values, ids and scopes
"""
