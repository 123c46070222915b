"""Validation: a task's folder against ``docs/format.md``.

validate.py   `validate`: the whole folder; files, whole files, figures
lines.py      the lines, each by its schema and all against each other
schema.py     JSON Schema: those of ``store/schemas``, and any other
report.py     problems, counted and worded
"""
