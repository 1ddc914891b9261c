"""Locust events ↔ run record: how a run starts, goes through its phases, ends in any way, and is judged. No Kafka here.

A load (Kafka's, or any other) is two small protocols, `MasterLoad` and `NodeLoad`; what they exchange with the session
is plain data that msgpack can carry, so a single process and a cluster of workers go the same way.
"""
