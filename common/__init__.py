"""What every program needs from the machine: threads, processes, locks, HTTP, text and times.

Faces: concurrency, errors, http, locks, network_errors, processes, ranges, signals, state, text,
times.
May import: nothing of ours.
"""
