"""Judging texts: statistics, rules, duplicates, balance of concepts."""
