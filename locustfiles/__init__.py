"""Composition roots: each names its Users, its shape and its session, and holds no logic."""
