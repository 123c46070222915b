"""Commands that change, send, serve or follow.

control.py     pause, resume, cancel, context: requests to a running task
run.py         any command in a task
replay.py      a program once more, with the answers on record
note.py        a note on a task, scores of it
imports.py     runs that others wrote, as task folders
collect.py     receive by OTLP what other programs send, and file it
recover.py     close what dead processes left open
ship.py        send what the collector has not got
prune.py       delete and compress by the limits
serve.py       REST and the web page
mcp.py         the record for agents, by the Model Context Protocol
monitor.py     the terminal monitor
doctor.py      checks of the installation, with a test trace
completion.py  scripts for shells
"""
