"""Raw images and annotations → a checked, partitioned, content-addressed dataset."""
