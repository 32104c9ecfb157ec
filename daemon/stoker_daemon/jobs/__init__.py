"""What the daemon knows about jobs by itself: legal moves, parameters, and the records that rooms pass on; pure."""
