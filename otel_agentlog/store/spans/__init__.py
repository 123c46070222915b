"""Spans and log records rebuilt from the lines of a task's folder.

rebuild.py   `records`: every span and log record as it was sent
tree.py      `tree`: the spans nested, with durations, usage and cost summed up
"""
