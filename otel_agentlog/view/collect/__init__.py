"""``agentlog collect``: a receiver of OTLP that files what programs of any language send. Needs the extra ``server``.

receiver.py    all of it together: begins, ends, and what it has done
http.py        the side that speaks http, with protobuf and JSON
grpc_side.py   the side that speaks gRPC
answers.py     bodies within bounds, and answers as OTLP has them
forwarding.py  what is sent on to a further collector
filer.py       the process that makes folders of what has come
"""
