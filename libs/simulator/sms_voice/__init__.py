"""AWS End User Messaging SMS, MMS, voice and RCS (`pinpoint-sms-voice-v2`)."""
