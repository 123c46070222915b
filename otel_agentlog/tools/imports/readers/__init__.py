"""One module a format: rows of a file in, what happened out. They record nothing and touch no disk.

formats.py      the formats, and which one a file has
rows.py         files of JSON, row by row, also while they grow
events.py       what readers of transcripts give
spans.py        what readers of traces give
claude_code.py  session files of Claude Code
codex.py        session files of the Codex CLI
messages.py     chat messages
otlp.py         OTLP as JSON
agent_events.py  log records of coding agents
phoenix.py      spans that Phoenix gives
langfuse.py     exports of Langfuse
"""
