"""The words and rules of messaging that several services must agree on; all of it pure, none of it knows a service.

``words`` names channels, classes and statuses; ``errors`` is the closed table of what can go wrong; ``content`` is what a
message can say; ``permission`` is what we may do with a contact on a channel; ``checks`` decides before any send;
``policy`` is what each class promises; ``optout`` knows the words of opting out; ``events`` holds every event by topic.
"""
