"""The whole client over real sockets against simulated miners of port 4028."""
