"""Assumptions about the venue, each with the observation that confirms or contradicts it.

`facts` is the table, `observations` are what a run sees anyway, `store` keeps the evidence of each venue in
the state folder, and `recorder` connects them in a running worker.
"""
