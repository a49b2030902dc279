"""Clients and pools of them: reading, writing, viewing, joining, and clients of a user's own."""

from groundswell.clients.pool import FIELDS, ClientPool

__all__ = ["FIELDS", "ClientPool"]
