"""The forwarder processes that commands start, and the journals that background ones leave.

Faces: attach, ingesting, journals.
May import: aws, settings, terminal, common.
"""
