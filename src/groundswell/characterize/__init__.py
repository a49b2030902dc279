"""What is in a trace, topic by topic: arrivals, lengths, clients, modalities, reasoning, conversations,
prefixes, failures.

Every topic is a fold: the summary of a block, ``+``, and a finish that turns the summary into figures. Memory does not
grow with the number of requests.
"""
