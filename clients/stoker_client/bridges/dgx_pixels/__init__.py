"""The bridge for clients of dgx-pixels: their two sockets and messages on one side, jobs of the daemon on the other."""
