"""Alerts: what is watched for and when it is too much. Plain data, no thread, no clock of its own.

rules.py         what is watched, with thresholds, and how users change them
observations.py  the observations in a line
windows.py       sliding windows: sums and samples
watch.py         observations in, alerts and notices that they are over out
feed.py          the observations of all tasks below a root, as they come
"""
