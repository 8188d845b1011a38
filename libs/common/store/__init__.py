"""Where items live: :mod:`ops` says what can be asked, :mod:`memory` and :mod:`dynamodb` answer it.

Both sit the same exam (``tests/kit/store_contract.py``).
"""
