"""The contract between bridge, processor and brain: topics, messages, records, evaluation."""

SCHEMA_MIN = 1
"""Oldest message schema that this release reads."""

SCHEMA_MAX = 1
"""Newest message schema that this release reads, and the one it writes."""
