"""Plays either side of the wire, so that who writes a server or a client can see whether it keeps to the protocol."""
