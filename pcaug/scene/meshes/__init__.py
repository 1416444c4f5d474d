"""Meshes of others as assets: files and packs are read, checked, named, turned upright and given classes by their cards."""
