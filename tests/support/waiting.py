"""Waiting for a condition on a deadline: `until` in coroutines, `wait_until` elsewhere."""

from demo.waiting import TookTooLongError, until, wait_until

__all__ = ["TookTooLongError", "until", "wait_until"]
