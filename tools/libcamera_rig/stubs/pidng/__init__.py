"""Stands for the package that writes raw pictures: the virtual camera has none."""
