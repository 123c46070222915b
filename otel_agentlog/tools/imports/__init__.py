"""Runs that others wrote, as task folders: session files of coding agents, traces, chat messages.

importer.py  finds files, has them read and recorded, moves the folders to their place; which files were imported
watch.py     the same as long as they grow
readers/     the formats: rows of a file in, what happened out
writer.py    events to operations, with the clock and the ids of the source
spool.py     where the parts of traces wait until a trace is complete
traces.py    traces to adopted spans
staging.py   where folders are made, and how they come to their place
"""
