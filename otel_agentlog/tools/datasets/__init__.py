"""Data sets of what is in task folders, for training and evaluation.

build.py     surveys tasks, writes the files and the manifest
examples.py  what one AI call, or the conversation of one task, holds
shapes.py    an example as OpenAI or Anthropic have it, or as a case of an evaluation
"""
