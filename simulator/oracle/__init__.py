"""The oracle: the ledger of accepted events, and the verdict on a viewer's record.

Faces: ledger, record, verdict.
May import: cloudwatch, acceptance, errors.
"""
