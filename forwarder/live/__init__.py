"""Live paths that push: they bring events sooner than polls do, and are never believed.

What one brings may be doubled, out of order, late, missing or wrong. It changes latency alone:
rows go through the one door, and only whole scans prove anything.
"""
