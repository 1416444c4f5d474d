"""Object banks and generators."""
