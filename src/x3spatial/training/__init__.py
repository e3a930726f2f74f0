"""Supervised fine-tuning: data sets, mixtures, checks and the training run."""
