"""One representative for all networks that differ in scale alone."""
