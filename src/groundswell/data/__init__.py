"""Embedded populations: small text files, each with the command and the data it was made from."""
