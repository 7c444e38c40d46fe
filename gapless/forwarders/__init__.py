"""The forwarder processes that commands start: in the background, or beside themselves.

Faces: attach, ingesting.
May import: aws, settings, terminal, journals, common.
"""
