"""Estimators and tests that follow from the design."""
