"""A carrier simulator: WhatsApp, SMS, MMS, voice, RCS and email as AWS offers them, over the real wire formats.

Unmodified boto3 and aiobotocore clients use it through `AWS_ENDPOINT_URL_SOCIALMESSAGING`,
`AWS_ENDPOINT_URL_PINPOINT_SMS_VOICE_V2` and `AWS_ENDPOINT_URL_SESV2`. Start it with `python -m libs.simulator`,
or in a test with `libs.simulator.app.Simulator`. Ids of the demo account are in `libs.simulator.demo`.
"""
