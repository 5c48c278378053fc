"""One file a version, named by its number; what is released here never changes."""
