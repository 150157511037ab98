"""Gatepost: sasl."""
