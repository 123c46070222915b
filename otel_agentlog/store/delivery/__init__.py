"""Delivery to collectors, as the folder records it: what was sent, what is pending, what is to be sent.

tracker.py        `DeliveryTracker`: counts what this process recorded and what became of it
ledger.py         ``.delivery.jsonl`` beside the lines, and the counts in ``metadata.json``
left.py           `LeftItems`: which items wait in which folders, in bounded memory
item_set.py       a set of items in little memory and short JSON
pending.py        tasks that may have pending items, found without reading their lines
unsent.py         `UnsentItems`: what no collector has of a folder, while it is sent
own_unsent.py     the same for items that this process recorded itself
process_lock.py   which processes still run and deliver what they recorded
"""
