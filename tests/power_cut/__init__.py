"""Power cuts on a real file system, which only root may arrange."""
