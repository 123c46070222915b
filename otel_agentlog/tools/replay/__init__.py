"""Runs a program again with the answers that a task has on record: of models, and of tools where that is wanted.

recorded.py     the AI calls and tool runs of a task and its sub-tasks, in order; what of them cannot be given again
answers.py      what was answered, in the shape of Anthropic's messages, OpenAI's chat completions and responses
streams.py      the same as server-sent events
refusals.py     an error that was recorded, as the HTTP answer that the client made it of
prompts.py      whether a request asks what was asked before; secrets and cuts of the record match anything
matching.py     which recorded call a request gets: by content, else in order
server.py       the local server that clients ask in the place of the provider
forwarding.py   requests that go on to the real provider, from a step on
variables.py    the variables by which a program asks that server
inside.py       in the program: decorated tools and AI calls, connections that are refused
comparing.py    two runs side by side: the first difference, and all of them
site/           goes onto ``PYTHONPATH`` of the program: its ``sitecustomize.py`` calls `inside.begin`
"""
