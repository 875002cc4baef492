"""The one way of an image to its views: inputs, both looks, the certificate, pairs held in their band."""
