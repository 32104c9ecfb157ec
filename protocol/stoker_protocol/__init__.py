"""The words that both ends of the wire share: pure data, no socket, clock, thread or file."""
