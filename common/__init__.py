"""What every program needs from the machine: threads, processes, locks, HTTP, files and text.

Faces: concurrency, errors, files, http, locks, network_errors, processes, ranges, signals, state,
text, times.
May import: nothing of ours.
"""
