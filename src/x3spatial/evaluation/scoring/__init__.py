"""Scoring of single answers: ground truth, masks and scoring rules."""
