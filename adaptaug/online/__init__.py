"""What is learned while a network trains: the strength of views, and weights by an image's statistics."""
