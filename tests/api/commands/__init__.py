"""Every command of the vendor over real sockets: its wire format, bounds and effect."""
