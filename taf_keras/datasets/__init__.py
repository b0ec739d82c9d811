"""Readers: CamVid, Cityscapes, your own lists, packed shards; one place chooses among them."""
