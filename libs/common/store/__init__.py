"""Stores of items: :mod:`ops` is the contract, :mod:`memory` and :mod:`dynamodb` implement it.

Both pass the same tests (``tests/kit/store_contract.py``).
"""
