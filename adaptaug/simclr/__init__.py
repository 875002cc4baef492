"""Pretraining: encoders, the contrastive step, the trainer and how features are judged."""
