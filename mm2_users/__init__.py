"""The Kafka load: what is sent, when, and the exact account of what became of it."""
