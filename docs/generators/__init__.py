"""What `docs/generate.py` writes into the pages, one module for each page."""
