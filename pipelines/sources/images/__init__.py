"""Images that pairs name: found by their names in archives, Parquet files and PDFs."""
