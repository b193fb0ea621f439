"""Programs for tests, each in a process group and with a log of its own, and free loopback ports."""

from demo.processes import Program, ProgramError, answers, find_program, free_port

__all__ = ["Program", "ProgramError", "answers", "find_program", "free_port"]
