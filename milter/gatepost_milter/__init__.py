"""Gatepost: milter."""
