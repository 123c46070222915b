"""Retention: which tasks are deleted, which are compressed, and how, so that a kill at any moment harms nothing.

prune.py      one run over a root, its lock and totals
background.py runs of a program that records, on a thread
policy.py     the limits and rules: which tasks go, in which order
survey.py     the task folders below a root that are ours, and what is in them
delete.py     deletes task folders
compress.py   compresses the files of a task
report.py     what a run did
"""
