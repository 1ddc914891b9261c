"""What Prometheus and the JMX exporter are told; data, no code."""
