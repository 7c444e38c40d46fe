"""Scenarios against the real programs: simulator, forwarder and viewer, judged by the ledger."""
