"""Tests of rules: how they are written, and what is answered to who breaks them."""
