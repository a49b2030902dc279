"""From somebody's file to a workload, block by block."""
