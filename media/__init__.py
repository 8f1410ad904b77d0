"""Images: fetching them safely, decoding, judging and storing them."""
