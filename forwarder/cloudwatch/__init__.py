"""Reads CloudWatch Logs with the AWS SDK: calls, rate limit, pages, catalogue and clock.

Faces: catalogue, client, clock, fair_queue, missing, profiles, rate_limit, reader, remedies.
May import: config, records, errors, common.
"""
