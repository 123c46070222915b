"""Where it is kept: the task folders and the application log.

The only part of the package that knows file names and bytes. The format is ``docs/format.md``.
"""
