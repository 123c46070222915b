"""Two tasks, or two groups of them, beside each other.

compare.py  ``agentlog compare``
diff.py     ``agentlog diff``
"""
