"""How events travel: :mod:`base` is the contract, :mod:`memory` and :mod:`sns_sqs` fulfil it (one exam: ``tests/kit/bus_contract.py``)."""
