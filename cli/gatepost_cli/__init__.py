"""Gatepost: cli."""
