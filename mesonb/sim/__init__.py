"""Pretend agents and virtual time around the same core and the same frameworks."""
