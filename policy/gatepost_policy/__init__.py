"""Gatepost: policy."""
