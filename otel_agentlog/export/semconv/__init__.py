"""The semantic conventions: what lines are called in OpenTelemetry.

names.py        every name of an attribute, metric and event, and the profiles of them
conventions.py  span name, kind, attributes and status of a line: `Conventions`
spans.py        the attributes of each type of line, and how an end becomes a status
operations.py   the GenAI operations that are not inferences
fields.py       tables from keys of ``details`` to attributes
content.py      prompts, answers, arguments and results under the content policy
"""
