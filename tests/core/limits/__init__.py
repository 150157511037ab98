"""Tests of limits: how they are written, when they count, and what counts them."""
