"""From a finished span or log record to a batch that is sent: queues, threads, retries.

items.py         what is sent, the line it was made from, and who is notified of the result
worker.py        the background thread that decides what is sent when; flush and shutdown
workers.py       the threads that make the requests, one for each signal
signal_queue.py  what waits for one signal, and its limits
backoff.py       when a collector that failed is tried again
bisect.py        a batch that is refused as a whole is sent in halves
backlog.py       what waits in folders is sent when nothing live waits
direct.py        sends in the calling thread, for the command line
"""
