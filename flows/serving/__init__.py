"""A model over HTTP, and a page to drop films on. All computing is in `pneumo_core`."""
