"""AWS End User Messaging Social: WhatsApp."""
