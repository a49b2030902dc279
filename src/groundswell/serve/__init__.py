"""A server of OpenAI's API whose replies come at the times that a :class:`~groundswell.serve.pace.Pace` says.

It measures clients, ours first: what a client reports can be held against what the server did. It needs no compiler,
and one core of it keeps some thousands of requests a second.
"""
