"""What a person sees and does in a browser; scripts/test --e2e runs it."""
