"""What happened: tasks, steps, AI calls, tool runs, webhooks and log lines, each cleaned once and passed to the sinks.

api.py             `task`, `step`, `ai_call`, `tool`, `webhook`: the public functions
recorder.py        cleans a line, gives it its ids, hands it to every sink
collaborators.py   what a recorder works with: failures, span names, tasks on disk, prices and categories, clocks
operations/        what has a start and an end, and which of them is current
logs/              our loggers, stdlib's and structlog's, and the console
events.py          a line of type `event`, for the helpers in `otel_agentlog.events`
foreign_spans.py   spans of other libraries become lines
carrier.py         W3C headers that continue a task in another process
sanitize/          any value → plain, bounded JSON
redaction/         secrets → markers
exceptions/        an exception → plain data, its `error_id`
providers/         tokens, texts and cost of a provider's response
resources.py       CPU time, memory and bytes written of tasks and tool runs
signals.py         SIGTERM and SIGHUP end what is open
threads.py         the current operation follows into threads and pools
"""
