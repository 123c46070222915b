"""Shared by all packages: constants of the format, and the types that pass from one package to another.

states.py            states, outcomes and their sets, components
lines.py             what each type of line holds, which OTLP items it gives, timestamps
chunks.py            texts that were recorded in chunks, joined again
actions.py           the kinds of operation and their actions
envelope.py          a line on its way to the sinks, the task it belongs to, requests to a task
event_ids.py         the numbers of lines
records.py           spans and log records rebuilt from lines, and the items of them that are unsent
scores.py            scores and notes: their lines, and which of them count
usage.py             tokens, cost and the response of a model
coerce.py            a field of a line that may hold anything
functions.py         kinds of functions, and how their calls are wrapped
stand_in.py          objects to use in place of others
terminal_text.py     what is safe on a terminal, and how wide it is
shapes.py            what texts have in common that differ in a number or an id
prometheus_text.py   the text format of Prometheus
"""
