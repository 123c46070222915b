"""Filters as people write them.

language.py    from text to conditions
moments.py     moments and spans of time
suggestions.py what could stand in a filter, and what was meant where nothing is found
"""
