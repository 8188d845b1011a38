"""A long poll whose client has gone takes no message with it, because the launcher of the embedded AWS fixes it."""

import json
import socket
import time
from urllib.parse import urlsplit

from deploy.local.stack import Stack


def _ask_and_hang_up(aws_url: str, queue_url: str) -> None:
    """As a killed worker: the request goes out, and the connection ends before there is an answer."""
    where = urlsplit(aws_url)
    body = json.dumps({"QueueUrl": queue_url, "WaitTimeSeconds": 20, "MaxNumberOfMessages": 10})
    head = (
        "POST / HTTP/1.1\r\n"
        f"Host: {where.netloc}\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sqs/aws4_request\r\n"
        "Content-Type: application/x-amz-json-1.0\r\n"
        "X-Amz-Target: AmazonSQS.ReceiveMessage\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((where.hostname or "", where.port or 0)) as connection:
        connection.sendall((head + body).encode())
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b"", "hung up on both sides"


def test_a_message_is_not_taken_by_a_poll_whose_client_has_gone(aws: Stack) -> None:
    sqs = aws.client("sqs")
    queue = sqs.create_queue(QueueName="deserted")["QueueUrl"]
    _ask_and_hang_up(aws.aws_url, queue)
    sqs.send_message(QueueUrl=queue, MessageBody="for the living")
    time.sleep(0.5)  # a poll of the dead looks every tenth of a second
    found = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=2).get("Messages", [])
    assert [message["Body"] for message in found] == ["for the living"]


def test_a_long_poll_is_answered_while_its_client_waits(aws: Stack) -> None:
    sqs = aws.client("sqs")
    queue = sqs.create_queue(QueueName="patient")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="later", DelaySeconds=1)
    found = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10)["Messages"]
    assert [message["Body"] for message in found] == ["later"]
