"""The contract (docs/contract.md) once more, in plain Python with lists and linear searches.

Nothing here knows the table or the package.  What the contract leaves to the service (ids, moments, which of several
matching ACS users) is learnt from its answers.
"""
