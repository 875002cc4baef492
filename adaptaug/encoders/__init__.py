"""Networks that turn views into features, and weights of them as others save them."""
