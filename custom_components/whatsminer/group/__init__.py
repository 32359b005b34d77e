"""Several miners as one."""
