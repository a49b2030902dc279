"""Summaries that add up block by block, and what can be said from them with an interval.

Four carry everything: :class:`BatchSums` (sums over stretches of time, from which intervals come), :class:`Tally` (sums
by key), :class:`Sample` (a fair sample of rows) and :class:`groundswell.histogram.Histogram` (quantiles of a stream).
"""
