"""The processor's HTTP side: uploads, frames, films, renders, and the gallery for browsers."""
