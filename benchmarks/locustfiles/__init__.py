"""Locustfiles that figures run: ours with a watch on its hub, and the two ways people write Kafka users today."""
