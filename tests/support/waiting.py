"""Waiting for a condition on a deadline: `until` in coroutines, `wait_until` elsewhere."""

from demo.waiting import PATIENCE_S, TookTooLongError, until, wait_until

__all__ = ["PATIENCE_S", "TookTooLongError", "until", "wait_until"]
