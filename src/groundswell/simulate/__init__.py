"""Serving engines as models: what a workload would come to on so many instances, without any of them."""
