"""One task's folder on disk (``docs/format.md``): written line by line, read in any state.

layout.py        names, modes, ids and the bytes of a line
sink.py          the sink: envelopes into task folders, or into the application log
writer.py        `TaskFolder`: appends lines, moves large values to artifacts, keeps the figures
handle.py        the open folder: found or made, locked, opened again when it was moved or deleted
recent.py        the lines written last, to be written again if their file turns out to be gone
files.py         descriptors, and one `write()` a line
documents.py     the files that are replaced as a whole
metadata.py      `metadata.json`: read, and merged with what other processes wrote
sync.py          durability: which files are synced when
locks.py         `flock` between processes
totals.py        the figures of a task, from its lines
reader.py        `TaskReader`: reads a folder back
lines.py         finds records in bytes that may be damaged
line_stream.py   the bytes of a file, plain or gzip, from any offset
"""
