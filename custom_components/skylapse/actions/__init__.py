"""The actions, by subject. `services.py` lists them all."""
