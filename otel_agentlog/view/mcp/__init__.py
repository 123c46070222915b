"""``agentlog mcp``: a server of the Model Context Protocol, by which agents read the record of what agents did.

Needs the extra ``mcp`` (``pip install 'otel_agentlog[mcp]'``).

server.py      the SDK's server with our tools and resources; errors as answers
serving.py     standard input and output, HTTP
tools.py       the table of tools
tasks.py       tools about tasks: list, search, show, lines
errors.py      kinds of errors, and all about one
comparison.py  two tasks side by side
figures.py     cost, tokens, durations, success rates
notes.py       notes and scores: the tool that writes
resources.py   tasks and their files by URI
shapes.py      what several tools take and answer
pages.py       answers of a bounded size, cursors
quoted.py      texts of the record as quoted data
context.py     the root of the tasks, the task that a client names
SKILL.md       for coding agents: how to ask the record
"""
