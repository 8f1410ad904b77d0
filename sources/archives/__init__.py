"""Records of WARC and ARC archives, whole and by their place."""
