"""The processor: takes frames in, renders films and keeps the library."""
