"""The daemon: a durable queue, the executor of one GPU, and two ZeroMQ sockets in front of them."""
