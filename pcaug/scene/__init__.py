"""What there is to see: labelled meshes, placed. Knows no sensor."""
