"""A bucket for uploads."""
