"""What programs of any language send by OTLP, as task folders: from the bytes of a request to the folder.

messages.py  messages of protobuf, and JSON, to the rows that the reader of OTLP files takes
parts.py     rows to clean parts of tasks: spans, log records, data points; which task each belongs to
spool.py     where parts are on disk from the acknowledgement on; what has been filed of them; what is to be forwarded
intake.py    a request, from its bytes to its acknowledgement
filing.py    tasks that are due, to folders: of traces, and of sessions of log records outside traces
"""

HOME = ".collect"
"""Below the root: the folder of the spool."""
