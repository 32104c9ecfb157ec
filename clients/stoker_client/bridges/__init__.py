"""Bridges: thin clients of the daemon that speak other people's protocols to other people's clients."""
