"""Gatepost: stack."""
