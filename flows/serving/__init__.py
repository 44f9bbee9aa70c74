"""A model over HTTP, and a page to drop films on. What is computed is computed in `pneumo_core`."""
