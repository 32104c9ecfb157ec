"""The sockets that clients reach: requests come in at the frontend, events go out at the publisher."""
