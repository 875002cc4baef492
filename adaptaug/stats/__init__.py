"""Pixels -> statistics. Nothing here draws or renders."""
