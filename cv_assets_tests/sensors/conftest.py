"""A bucket for uploads."""

from cv_assets_tests.servers.s3 import bucket, s3

__all__ = ["bucket", "s3"]  # fixtures, found here by pytest
