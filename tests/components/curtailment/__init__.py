"""Curtailment over real sockets: down with proof, held, and back."""
