"""Tasks that were sent to a backend, brought back as task folders, so that whatever reads folders answers about them.

clickhouse.py  asks ClickHouse over HTTP
lines.py       the lines of a task, from its spans and log records
foreign.py     what a span of another library is
views.py       which spans saw what another one counts, where they do not say so
folders.py     which tasks are brought, and their folders
totals.py      figures of tasks by the totals on the spans that they ended with
wanted.py      which tasks a question asks of a backend
"""
