"""What every frame shows of its camera: whether it is fit for films, and what stands before the lens.

Everything here is pure: figures of one picture and facts of its record in, findings out; `memory.py` turns
what is remembered into bytes and back.
"""
