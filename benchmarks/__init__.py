"""Ratios against named alternatives, and programs that put the whole to the proof."""
