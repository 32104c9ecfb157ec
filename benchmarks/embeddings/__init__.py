"""Texts to vectors, a batch at a time beside one by one."""
