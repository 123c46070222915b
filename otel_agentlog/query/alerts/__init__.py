"""Alerts: what is watched for and when it is too much. Plain data, no thread, no clock of its own.

rules.py  what is watched, with thresholds, and how users change them
watch.py  sliding windows over observations: alerts, and notices that they are over
feed.py   what a line says to a watch, and the lines of all tasks below a root as they come
"""
