"""Task files with their images inside, as Parquet shards that Hugging Face's ``datasets`` opens."""
