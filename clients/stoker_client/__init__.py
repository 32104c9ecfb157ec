"""The thin client: a library and a command line that reach the daemon over its sockets."""
