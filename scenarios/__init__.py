"""The plan: what is asked (scenario) and where (environment), read strictly, and the pure time → rate functions.

Nothing here opens a socket, and nothing here imports another package of ours.
"""
