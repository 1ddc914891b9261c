"""Scripts that figures run in processes of their own: the rivals, and stand-ins for brokers and workers."""
