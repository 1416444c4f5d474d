"""Corpora: many datasets become one labelled folder of Parquet tiles with a manifest."""
