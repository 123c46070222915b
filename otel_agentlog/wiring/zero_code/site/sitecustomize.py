"""Begins to record in a Python program that ``agentlog run`` started. Python imports it at its start, before the program.

The program's own ``sitecustomize`` comes after it. Where this package is not installed nothing else happens: nothing of it can be
imported here, so `_next` is the same text in each file of this name (``tests/test_one_home.py``).
"""

import os
import sys


def _next() -> None:
    from importlib.machinery import PathFinder
    from importlib.util import module_from_spec

    here = os.path.dirname(os.path.abspath(__file__))
    paths = [os.path.abspath(path) for path in sys.path]
    spec = PathFinder.find_spec("sitecustomize", paths[paths.index(here) + 1 :] if here in paths else [])
    if spec is not None and spec.loader is not None:
        module = module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


def _begin() -> None:
    from importlib.util import find_spec

    if find_spec("otel_agentlog") is not None:
        from otel_agentlog.wiring.zero_code.start import begin

        begin()


_next()
_begin()
