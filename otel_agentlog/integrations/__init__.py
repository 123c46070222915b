"""Connections to web servers, job queues and agent frameworks; a module each, imported by those who use what it connects to.

They are users of the package: they import its public names only, and the packages they connect to inside functions.
"""
