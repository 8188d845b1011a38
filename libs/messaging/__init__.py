"""Types and rules of messaging that several services share. Every module is pure or depends on ``libs.common`` only;
none imports a service.

``vocabulary`` holds the enums of classes, purposes and statuses; ``channels`` the channels with their traits;
``errors`` the closed table of error codes; ``content`` the content types of a message; ``permission`` the facts that
permit or forbid a send to a contact on a channel; ``checks`` the checks before a send; ``policy`` the resends and
deadlines of each class; ``optout`` the opt-out keywords; ``events`` every event, by topic.
"""
