"""Workloads sent to a real server, each request when it is due.

A worker process sends; it imports no more than this package's light modules, so that it starts at once and stays
small. The command's own process reads the workload ahead, hands it to the workers, and watches.
"""
