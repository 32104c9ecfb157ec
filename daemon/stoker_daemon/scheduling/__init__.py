"""What to run next, how many at once, whether to try again, and when it will be done: pure policy."""
