"""Lines, geodesics, planes and distances in weight space."""
