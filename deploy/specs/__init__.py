"""The generated documents: AsyncAPI, OpenAPI, event schemas, the tables of names and grants, the tables in the READMEs.

``python -m deploy.specs`` writes them, ``--check`` lists those that are not current (and a contract test does the same).
"""
