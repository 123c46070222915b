"""Tasks, steps, AI calls, tool runs and webhooks: what has a start, an end and an outcome. Each file imports only those above it.

control.py           requests to pause, resume, cancel or inform a task, and what came of them
seen_calls.py        requests to models that were seen in a task, by us or by other libraries
context.py           `OperationScope`, which of them is current here, and `bind`
decorators.py        an operation as a decorator
open_operations.py   the operations that are open in this process
outcome.py           from an exception to an outcome and the `exception` object of a line
span.py              from a line to its span, and the span's ids onto the line
operation.py         `Operation`: start, end, `with`
attempts.py          operations that are tried several times
checkpoints.py       where a task waits while it is paused, and is cancelled
step.py              a named part of a task
ai_call.py           one request to a model
tool_run.py          one execution of a tool
task.py              one job; owns a folder
webhook.py           how a task came in, and its way through a queue
"""
