"""What the integration costs, measured beside others."""
