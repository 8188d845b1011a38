"""The bus: :mod:`base` is the contract, :mod:`memory` and :mod:`sns_sqs` implement it (tested by ``tests/kit/bus_contract.py``)."""
