"""Loads and time of a real daemon that works in waves, beside the same daemon that takes what came first."""
