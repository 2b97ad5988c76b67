"""Files: an assignment written to Parquet and read back with its lottery."""
