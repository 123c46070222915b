"""Exceptions → plain data: message, traceback and id, whatever an exception is made of.

describe.py       message and traceback as Python shows them, in bounded time and size; an answer of a model that one has
bounded_repr.py   the ``repr`` of any value without foreign code, and whether Python's own may be called
timeout_call.py   foreign code on a thread that is waited for half a second
fresh_stack.py    work of ours on a stack of its own, where the caller's is nearly used up
class_info.py     classes and attributes of any object, read by the interpreter's own descriptors
error_id.py       the 8-character id that is kept on an exception
"""
